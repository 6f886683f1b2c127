"""Compare what two sources deliver: `python -m engine.streams.replay --creation FILE --production FILE --schema FILE`.

The first two files are descriptors of streams, the third is the input schema of the model. Ends with 0 if both sides
are equal, with 1 if they differ, and with 2 if they cannot be compared.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.errors import EngineError
from engine.formats import detect, open_model
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.descriptors import parse_stream
from engine.streams.replay.differences import Tolerance
from engine.streams.replay.reading import MOST_RECORDS
from engine.streams.replay.replaying import Scored, Terms, replay


def main(arguments: Sequence[str]) -> int:
    """Carry out a replay, and print its report."""
    asked = _asked(arguments)
    try:
        schema = Schema.parse(asked.schema.read_bytes())
        scored = None
        if asked.model:
            outputs = Schema.parse(asked.outputs.read_bytes())
            scored = Scored(open_model(asked.model, detect(asked.model), schema, outputs), outputs)
        creation, production = (
            parse_stream(json.loads(path.read_bytes()), "in", schema) for path in (asked.creation, asked.production)
        )
        terms = Terms(tuple(asked.key), dict(asked.tolerance), dict(asked.output_tolerance), asked.most)
        reach = Reach(asked.private, tuple(asked.folder))
        report = replay(creation, production, schema, terms, reach=reach, scored=scored)
    except EngineError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"A file cannot be read: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.to_dict(), indent=2) if asked.json else report.to_text())
    return 0 if report.equal else 1


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine.streams.replay", description=__doc__)
    add = parser.add_argument
    for name, words in (
        ("creation", "descriptor of the source in creation"),
        ("production", "descriptor of the source in production"),
        ("schema", "the model's input schema"),
    ):
        add(f"--{name}", type=Path, required=True, metavar="FILE", help=words)
    add("--key", action="append", default=[], metavar="FIELD", help="tells records apart (again for more); else order")
    for name, words in (("tolerance", "inputs"), ("output-tolerance", "predictions")):
        add(f"--{name}", action="append", default=[], type=_tolerance, metavar="FIELD=ABSOLUTE[,RELATIVE]", help=words)
    add("--model", type=Path, metavar="FILE", help="compare its predictions, too; needs --outputs")
    add("--outputs", type=Path, metavar="FILE", help="the model's output schema")
    add("--folder", action="append", default=[], metavar="FOLDER", help="a folder that files may be read from")
    add("--private", action="store_true", help="let streams reach private addresses")
    add("--most", type=int, default=MOST_RECORDS, help="refuse more records than this")
    add("--json", action="store_true", help="print the report as JSON")
    asked = parser.parse_args(arguments)
    if bool(asked.model) != bool(asked.outputs):
        parser.error("--model and --outputs go together")
    return asked


def _tolerance(text: str) -> tuple[str, Tolerance]:
    name, _, numbers = text.partition("=")
    absolute, _, relative = numbers.partition(",")
    found = Tolerance(float(absolute), float(relative or 0))
    if not (name and 0 <= found.absolute < float("inf") and 0 <= found.relative < float("inf")):
        raise ValueError(text)
    return name, found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
