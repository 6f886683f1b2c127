"""The condition of the installation as Prometheus reads it: a verdict for each part, and every figure behind it."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from mdlc_site.condition import BAD, GOOD, LATE, Part

VERDICTS = {GOOD: 0, LATE: 1, BAD: 2}
HELP = {
    "mdlc_site_condition": "Whether a part is good (0), late (1) or bad (2).",
    "mdlc_site_figure": "A figure behind that; moments are seconds since the epoch.",
}


def exposition(parts: Iterable[Part]) -> str:
    """Return the text that Prometheus reads (version 0.0.4)."""
    parts = list(parts)
    samples = {
        "mdlc_site_condition": [f"{_labels(part=one.name)} {VERDICTS[one.verdict]}" for one in parts],
        "mdlc_site_figure": [line for one in parts for line in _figures(one)],
    }
    lines = []
    for name, words in HELP.items():
        lines += [f"# HELP {name} {words}", f"# TYPE {name} gauge", *(name + sample for sample in samples[name])]
    return "\n".join(lines) + "\n"


def _figures(part: Part) -> Iterator[str]:
    """Give what is a number, or a moment; words stay on the page, for they may name a key or a part of somebody's."""
    for name, value in part.figures.items():
        number = _number(value)
        if number is not None:
            yield f"{_labels(part=part.name, figure=name)} {number}"


def _number(value: object) -> float | None:
    if isinstance(value, list):
        return float(len(value))
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        return None


def _labels(**labels: str) -> str:
    escaped = (value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for value in labels.values())
    return "{" + ",".join(f'{name}="{value}"' for name, value in zip(labels, escaped, strict=True)) + "}"
