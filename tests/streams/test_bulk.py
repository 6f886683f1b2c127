"""What a whole batch is accepted for, each record is; and it reaches the model as the very same columns."""

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.columns import Columns
from engine.exchange.arrow import to_arrow
from engine.fields import Field
from engine.schemas import Schema
from engine.streams.bulk import BulkCheck
from engine.streams.scoring import BatchScorer
from engine.streams.transports import Batch

NUMBERS = Schema(
    "Numbers",
    [
        Field("d", "double", minimum=-5, maximum=5),
        Field("f", "float"),
        Field("i", "int", allowed=(1, 2, 3)),
        Field("l", "long", minimum=0),
    ],
)
MIXED = Schema(
    "Mixed",
    [
        Field("code", "string", pattern="[0-9]{3}"),
        Field("note", "string", nullable=True),
        Field("d", "double", nullable=True, maximum=5),
        Field("l", "long"),
        Field("b", "boolean"),
        Field("e", "enum", allowed=("x", "y")),
        Field("v", "array", items="double", size=2),
    ],
)
GOOD: dict[str, list[Any]] = {
    "d": [0, 1.5, -5, 5.0], "f": [0.1, 3, 1e30], "i": [1, 2, 3], "l": [0, 7, 2**53, 2**60], "code": ["007", "100"],
    "note": ["", None, "é"], "b": [True, False], "e": ["x", "y"], "v": [[1.0, 2.0], [0, 1.5]],
}  # fmt: skip
ODD: list[Any] = [
    None, True, "", "7", 7, -1, 4, 1.0, 1.5, 6.5, 1e39, 2**53 + 1, 2**63, 2**70, 10**400, float("nan"), float("inf"),
    "\ud800", [1.0], [1.0, None], [True, 1.0], ["a", 1], {}, b"007", "z", (1.0, 2.0),
]  # fmt: skip


def drawn(schema: Schema, chance: random.Random) -> list[dict[str, Any]]:
    """Return a few records; about every second batch has one odd value, field too many or field too few."""
    records = [{one.name: chance.choice(GOOD[one.name]) for one in schema.fields} for _ in range(chance.randint(1, 5))]
    victim, name = chance.choice(records), chance.choice(schema.names)
    match chance.randint(0, 7):
        case 0 | 1 | 2:
            victim[name] = chance.choice(ODD)
        case 3:
            del victim[name]
        case 4:
            victim["more"] = 1
        case 5:
            victim["more"] = victim.pop(name)
    return records


def same(found: Any, expected: dict[str, np.ndarray], schema: Schema) -> None:
    if isinstance(found, np.ndarray):
        matrix = np.column_stack([expected[name] for name in schema.names]).astype("f8")
        np.testing.assert_array_equal(found, matrix)
        return
    assert found.keys() == expected.keys()
    for name, column in expected.items():
        assert found[name].dtype == column.dtype
        np.testing.assert_array_equal(found[name], column)


@pytest.mark.parametrize("schema", [NUMBERS, MIXED], ids=["numbers", "mixed"])
def test_whole_batches_are_accepted_only_if_every_record_is(schema: Schema) -> None:
    chance, columns = random.Random(11), Columns(schema)
    bulk, accepted, refused = BulkCheck(columns), 0, 0
    for _ in range(3000):
        records = drawn(schema, chance)
        found = bulk.records(records)
        good = not any(schema.check(record) for record in records)
        if found is None:
            refused += 1
            beyond = schema is NUMBERS and any(record.get("l") == 2**60 for record in records)
            odd = any(type(record.get("v")) is tuple or record.get("note") == "\ud800" for record in records)
            assert not good or beyond or odd, records
            continue
        accepted += 1
        assert good, records
        same(found, columns.from_records(records), schema)
    assert accepted > 300
    assert refused > 500


@pytest.mark.parametrize("schema", [NUMBERS, MIXED], ids=["numbers", "mixed"])
def test_whole_tables_are_accepted_only_if_every_row_is(schema: Schema) -> None:
    chance, columns = random.Random(12), Columns(schema)
    bulk, accepted, refused = BulkCheck(columns), 0, 0
    free = pa.schema([one.with_nullable(True) for one in to_arrow(schema)])
    for _ in range(600):
        records = drawn(schema, chance)
        try:
            table = pa.Table.from_pylist(records, schema=free)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError):
            continue
        rows = table.to_pylist()
        found = bulk.table(table)
        if found is None:
            refused += 1
            assert any(map(schema.check, rows)) or any(row["l"] == 2**60 for row in rows)
            continue
        accepted += 1
        assert not any(map(schema.check, rows))
        same(found, columns.from_records(rows), schema)
    assert accepted > 100
    assert refused > 50


class Summing:
    """A model that adds lists up."""

    def predict(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"sum": columns["v"].sum(axis=1)}


def test_lists_of_odd_lengths_are_scored_apart() -> None:
    inputs = Schema("Lists", [Field("v", "array", items="double", maximum=9)])
    outputs = Schema("Sums", [Field("sum", "double")])
    scorer = BatchScorer(Summing(), inputs, outputs)  # type: ignore[arg-type]
    records: list[dict[str, Any]] = [{"v": [1.0]}, {"v": [1.0, 2.0]}, {"v": [10.0]}, {"v": [4.0]}]
    rows, rejects = scorer.score(Batch(["a", "b", "c", "d"], records))
    assert (rows.keys, rows.records) == (["a", "b", "d"], [{"sum": 1.0}, {"sum": 3.0}, {"sum": 4.0}])
    assert [(one.key, one.cause, one.rule) for one in rejects] == [("c", "constraint", "maximum")]
