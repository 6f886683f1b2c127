"""The process that runs a model: it gets inputs and gives predictions, one JSON line each, and nothing else.

It starts with an empty environment, confines itself before it touches the model, and never sees an expected value or a
threshold. Whoever started it kills it when its time is over.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from engine.errors import EngineError

OPEN_FILES = 256


def confine(memory_mb: int, seconds: int, parent: int) -> None:
    """Limit memory, processor time, files and core dumps for this process and its children, and die with the parent."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 1_000_000,) * 2)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)  # it died before we asked


class Child:
    """Answers requests about one model."""

    def __init__(self) -> None:
        self.model: Any = None
        self.inputs: Any = None
        self.outputs: Any = None

    def inspect(self, path: str, format: str) -> dict[str, Any]:
        """Load a model without schemas, and tell what it shows of them."""
        from engine.formats import module_for  # here, after the limits are in force

        inputs, outputs, notes = module_for(format).infer_schemas(Path(path))
        return {
            "input_schema": inputs.to_dict() if inputs else None,
            "output_schema": outputs.to_dict() if outputs else None,
            "notes": notes,
        }

    def load(self, path: str, format: str, input_schema: Any, output_schema: Any) -> dict[str, Any]:
        """Load a model and bind it to its schemas."""
        from engine.columns import Columns
        from engine.formats import open_model
        from engine.schemas import Schema

        inputs, outputs = Schema.parse(input_schema), Schema.parse(output_schema)
        self.model = open_model(Path(path), format, inputs, outputs)
        self.inputs, self.outputs = Columns(inputs), Columns(outputs)
        return {}

    def predict(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Return one output for each record, in order."""
        columns = self.model.predict(self.inputs.from_records(records))
        return {"outputs": self.outputs.to_records(columns, len(records))}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the input ends."""
    child = Child()
    for line in requests:
        request = json.loads(line)
        try:
            answer = {"ok": getattr(child, request.pop("do"))(**request)}
        except EngineError as error:
            answer = {"error": {"code": error.code, "message": error.message, "field": error.field}}
        except MemoryError:
            answer = {"error": {"code": "memory_exceeded", "message": "The model needs more memory than it may have."}}
        except Exception as error:  # a model may raise anything; tell it, and go on
            answer = {"error": {"code": "prediction_failed", "message": f"{type(error).__name__}: {str(error)[:300]}"}}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    confine(*(int(argument) for argument in sys.argv[1:4]))
    # Whatever the model prints goes nowhere; only we write answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, out)
