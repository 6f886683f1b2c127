"""Look into a model file that somebody uploaded, in a process of its own."""

from dataclasses import dataclass
from pathlib import Path

from engine.errors import FormatError
from engine.formats import detect
from engine.runner import Limits, Process
from engine.schemas import Schema


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a model file is, and what it shows of its schemas; notes say what a person should correct."""

    format: str
    input_schema: Schema | None
    output_schema: Schema | None
    notes: tuple[str, ...]


def inspect(path: Path, declared: str = "", *, limits: Limits | None = None) -> Inspection:
    """Return what a model file is, after loading it once in a child process.

    Raises FormatError `format_unsafe`, `format_unknown`, `format_mismatch` (content and declaration differ),
    `model_not_loadable` or `type_not_allowed`, and RunnerError when the file makes the process end or hang.
    """
    format_ = detect(path)
    if declared and declared != format_:
        raise FormatError("format_mismatch", f"The file is {format_}, not {declared}; declare it as what it is.")
    place = path.resolve()
    process = Process(limits or Limits(seconds=60), (place,))
    try:
        seen = process.ask("inspect", path=str(place), format=format_)
    finally:
        process.close()
    inputs, outputs = (Schema.parse(seen[key]) if seen.get(key) else None for key in ("input_schema", "output_schema"))
    notes = seen.get("notes")
    return Inspection(format_, inputs, outputs, tuple(map(str, notes)) if isinstance(notes, list) else ())
