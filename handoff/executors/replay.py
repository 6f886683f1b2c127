"""Replay golden records through an engine's endpoint, and compare what comes out."""

from collections.abc import Sequence
from typing import Any

from engine.comparison import Mismatch, compare
from engine.fault_points import fault_point
from handoff.executors.errors import ExecutorError
from handoff.executors.http import Engine

BATCH = 64


def replay(engine: Engine, path: str, golden: Sequence[dict[str, Any]], tolerance: dict[str, float]) -> str:
    """Send golden inputs to `path` and compare the outputs. Returns a sentence; raises a contract breach."""
    if not golden:
        return "there are no golden records to replay"
    fields = engine.get(path)["inputs"]
    found: list[dict[str, Any]] = []
    fault_point("golden.replaying")
    for start in range(0, len(golden), BATCH):
        batch = [pair["input"] for pair in golden[start : start + BATCH]]
        found += records_of(engine.post(f"{path}/infer", {"inputs": tensors_of(fields, batch)}), len(batch))
    result = compare(
        [pair["output"] for pair in golden],
        found,
        absolute=tolerance.get("absolute", 0.0),
        relative=tolerance.get("relative", 0.0),
    )
    if not result.equal:
        raise ExecutorError(
            f"The engine answers the golden records otherwise: at least {len(result.mismatches)} values differ, "
            f"the worst by {result.worst:.3g}. {_first(result.mismatches)}.",
            permanent=True,
            code="contract_breach",
        )
    return f"all {len(golden)} golden records came back as they should, the worst off by {result.worst:.2g}"


def _first(mismatches: Sequence[Mismatch]) -> str:
    if not mismatches:
        return "not told"
    first = mismatches[0]
    return (
        f"record {first.record}, {first.field or 'all of it'}: {first.actual!r:.80} instead of {first.expected!r:.80}"
    )


def tensors_of(fields: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records as V2 input tensors, one a field that the engine's metadata names."""
    tensors = []
    for field in fields:
        column = [record.get(field["name"]) for record in records]
        width = [len(column[0])] if column and isinstance(column[0], list) else []
        shape = [len(records), *width]
        tensors.append({"name": field["name"], "datatype": field["datatype"], "shape": shape, "data": column})
    return tensors


def records_of(answer: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Return a V2 answer's output tensors as one record a row. Raises a contract breach for an odd answer."""
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    try:
        for tensor in answer["outputs"]:
            values, shape = tensor["data"], tensor["shape"]
            width = 1
            for size in shape[1:]:
                width *= size
            if shape[0] != count or len(values) != count * width:
                raise ValueError(f"{tensor['name']} has the shape {shape} for {count} records")
            for at, row in enumerate(rows):
                row[tensor["name"]] = values[at * width : (at + 1) * width] if len(shape) > 1 else values[at]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ExecutorError(
            f"The engine's answer is not what the protocol says: {error}.", permanent=True, code="contract_breach"
        ) from error
    return rows
