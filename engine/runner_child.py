"""The process that runs a model: it gets inputs and gives predictions, one JSON line each, and nothing else.

It starts with an empty environment, confines itself before it touches the model, and never sees an expected value or a
threshold. Whoever started it kills it when its time is over.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from engine.errors import EngineError, FormatError
from engine.limits import confine
from engine.sandbox.acts import Stage, tried


class Child:
    """Answers requests about one model."""

    def __init__(self) -> None:
        self.model: Any = None
        self.inputs: Any = None
        self.outputs: Any = None

    def confined(self, **stage: Any) -> dict[str, Any]:
        """Try what a hostile model would, before there is one, and tell what refused it."""
        return {"refused": tried(Stage(**stage))}

    def scan(self, path: str, format: str) -> dict[str, Any]:
        """Read a model file for what must not be in it, without loading it."""
        from engine.scan import scan  # here, after the limits are in force

        return asdict(scan(Path(path), format))

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
        import numpy as np  # here, after the limits are in force

        if self.model is None:
            raise FormatError("not_loaded", "No model is loaded yet.")
        try:
            with np.errstate(over="raise"):  # a double beyond the model's own numbers is no infinity
                columns = self.model.predict(self.inputs.from_records(records))
        except (FloatingPointError, OverflowError) as error:
            raise FormatError(
                "value_out_of_range",
                "A record meets the schema but not the model's own number type; set a minimum and a maximum.",
            ) from error
        return {"outputs": self.outputs.to_records(columns, len(records))}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the input ends."""
    child = Child()
    acts: dict[str, Callable[..., dict[str, Any]]]
    acts = {name: getattr(child, name) for name in ("confined", "scan", "inspect", "load", "predict")}
    for line in requests:
        request = json.loads(line)
        try:
            answer = json.dumps({"ok": acts[request.pop("do")](**request)})
        except EngineError as error:
            answer = _error(error.code, error.message, error.field)
        except MemoryError:
            answer = _error("memory_exceeded", "The model needs more memory than it may have.")
        except Exception as error:  # a model may raise anything; tell it, and go on
            answer = _error("prediction_failed", f"{type(error).__name__}: {str(error)[:300]}")
        answers.write(answer.encode() + b"\n")
        answers.flush()


def _error(code: str, message: str, field: str = "") -> str:
    return json.dumps({"error": {"code": code, "message": message, "field": field}})


if __name__ == "__main__":
    confine(**json.loads(sys.argv[1]))
    # Whatever the model prints goes nowhere; only we write answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, out)
