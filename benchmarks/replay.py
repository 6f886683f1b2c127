"""Measures contract replay: `python -m benchmarks.replay`.

1,000,000 records of five fields (two texts, a long, a double that may be null, a boolean) as a CSV file and, in another
order, as a Valkey stream of JSON. Reading both is told apart from comparing them by key and judging each record on both
sides, to which the goal belongs. Once all is equal; once every hundredth record differs; once a whole field came in as
text, which is compared value by value.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import redis

from benchmarks.streams import valkey
from benchmarks.table import Row, printed
from engine.fields import Field
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.descriptors import Stream, parse_stream
from engine.streams.replay.replaying import Terms, replay

RECORDS = 1_000_000
GOAL_S = 2.0
SCHEMA = Schema(
    "Reading",
    [
        Field("code", "string", pattern="[0-9]{7}"),
        Field("count", "long", minimum=0),
        Field("level", "double", minimum=-1e6, maximum=1e6, nullable=True),
        Field("urgent", "boolean"),
        Field("ward", "enum", allowed=("north", "south")),
    ],
)
CASES = ("equal", "1 % differ", "a field as text")


def records() -> list[dict[str, Any]]:
    """Return the golden records."""
    levels = np.random.default_rng(5).uniform(-100, 100, RECORDS).tolist()
    return [
        {
            "code": f"{at:07}",
            "count": at,
            "level": level if at % 20 else None,
            "urgent": at % 3 == 0,
            "ward": "north" if at % 2 else "south",
        }
        for at, level in enumerate(levels)
    ]


def write_csv(path: Path, golden: list[dict[str, Any]]) -> None:
    """Write records as a file."""
    with path.open("w") as file:
        file.write(",".join(SCHEMA.names) + "\n")
        for one in golden:
            level = "" if one["level"] is None else one["level"]
            file.write(f"{one['code']},{one['count']},{level},{str(one['urgent']).lower()},{one['ward']}\n")


def send(client: redis.Redis, golden: list[dict[str, Any]], case: str) -> None:
    """Put records into a stream, in another order and with what goes wrong in a case."""
    client.flushall()
    order = np.random.default_rng(6).permutation(RECORDS).tolist()
    for start in range(0, RECORDS, 10_000):
        pipe = client.pipeline(transaction=False)
        for at in order[start : start + 10_000]:
            one = golden[at]
            if case == "1 % differ" and at % 100 == 0:
                one = {**one, "level": 1.0}
            elif case == "a field as text":
                one = {**one, "count": str(one["count"])}
            pipe.xadd("golden", {"record": orjson.dumps(one)})
        pipe.execute()


def sides(folder: Path) -> tuple[Stream, Stream]:
    """Return the streams of creation and production."""
    file = {"transport": "file", "encoding": "csv", "location": {"url": f"file://{folder}/golden.csv"}}
    location = {"url": f"unix://{folder}/valkey", "stream": "golden", "group": "scoring"}
    stream = {"transport": "valkey", "encoding": "json", "location": location}
    return parse_stream(file, "in", SCHEMA), parse_stream(stream, "in", SCHEMA)


def measured(client: redis.Redis, folder: Path, golden: list[dict[str, Any]]) -> Iterator[Row]:
    """Yield the figures of each case."""
    for case in CASES:
        send(client, golden, case)
        creation, production = sides(folder)
        found = replay(creation, production, SCHEMA, Terms(("code",)), reach=Reach(True, (str(folder),)))
        differing = sum(one.differing for one in found.fields)
        assert found.compared == RECORDS, found.to_text()
        assert differing == {"equal": 0, "1 % differ": RECORDS // 100, "a field as text": RECORDS}[case], differing
        read = f"reading {found.creation.seconds:.1f} s the file, {found.production.seconds:.1f} s the stream"
        took, goal = found.seconds, GOAL_S if case == "equal" else None
        yield Row(
            f"replay of {RECORDS:,}, {case}",
            f"{took:.2f} s",
            read,
            took / (found.creation.seconds + found.production.seconds),
            f"< {GOAL_S:g} s" if goal else "",
            took < goal if goal else None,
        )


def rows() -> list[Row]:
    """Run the whole benchmark."""
    with tempfile.TemporaryDirectory() as name, valkey(Path(name)) as client:
        golden = records()
        write_csv(Path(name) / "golden.csv", golden)
        return list(measured(client, Path(name), golden))


if __name__ == "__main__":
    print(printed(rows(), "A file and a stream, compared field by field"))
