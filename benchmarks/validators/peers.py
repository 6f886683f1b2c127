"""Peers of the check of tables, in an environment of their own: `python peers.py SCHEMA.json`, asked over its input.

A line `load FILE` reads an Arrow file; a line with a peer's name lets it check what was read, and answers one line of
JSON: the seconds, and how many values (polars, pandera) or rows (jsonschema-rs) it refused. Reading and making records
of it are not timed.
"""

import json
import sys
import time

import jsonschema_rs
import pandera.polars as pandera
import polars as pl
import pyarrow as pa

RECORDS = 50_000
TYPES = {"double": pl.Float64, "long": pl.Int64, "int": pl.Int32, "boolean": pl.Boolean, "string": pl.String}
WORDS = {"double": "number", "long": "integer", "int": "integer", "boolean": "boolean", "string": "string"}


class Field:
    """A field of the schema as the peers need it."""

    def __init__(self, row: dict) -> None:
        """Read a field of Avro's JSON."""
        kind = row["type"]
        self.nullable = isinstance(kind, list)
        kind = kind[1] if self.nullable else kind
        self.allowed = row.get("allowed") or (kind["symbols"] if isinstance(kind, dict) else None)
        self.type = "string" if isinstance(kind, dict) else kind
        self.name, self.low, self.high = row["name"], row.get("minimum"), row.get("maximum")
        self.pattern = row.get("pattern")


def counting(fields: list[Field]) -> list[pl.Expr]:
    """Return the leanest questions for polars: how many values of each column are not as they should be."""
    asked = []
    for field in fields:
        column = pl.col(field.name)
        wrong = column.is_null() if not field.nullable else pl.lit(False)
        if field.low is not None:
            wrong = wrong | ~column.is_between(field.low, field.high)
        if field.allowed:
            wrong = wrong | ~column.is_in(field.allowed)
        if field.pattern:
            wrong = wrong | ~column.str.contains(f"^(?:{field.pattern})$")
        asked.append(wrong.sum().alias(field.name))
    return asked


def pandera_schema(fields: list[Field]) -> pandera.DataFrameSchema:
    """Return the schema as pandera has it."""
    columns = {}
    for field in fields:
        checks = []
        if field.low is not None:
            checks.append(pandera.Check.in_range(field.low, field.high))
        if field.allowed:
            checks.append(pandera.Check.isin(field.allowed))
        if field.pattern:
            checks.append(pandera.Check.str_matches(f"^(?:{field.pattern})$"))
        columns[field.name] = pandera.Column(TYPES[field.type], checks, nullable=field.nullable)
    return pandera.DataFrameSchema(columns, strict=True)


def json_schema(fields: list[Field]) -> dict:
    """Return the schema as JSON Schema."""
    properties = {}
    for field in fields:
        rules = {"minimum": field.low, "maximum": field.high, "enum": field.allowed}
        rules["pattern"] = f"^(?:{field.pattern})$" if field.pattern else None
        word = WORDS[field.type]
        properties[field.name] = {key: value for key, value in rules.items() if value is not None}
        properties[field.name]["type"] = [word, "null"] if field.nullable else word
    names = [field.name for field in fields]
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


def refused_by_pandera(schema: pandera.DataFrameSchema, frame: pl.DataFrame) -> int:
    """Check with pandera, all errors gathered."""
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        return len(errors.failure_cases)
    return 0


def main() -> None:
    """Answer until the input ends."""
    with open(sys.argv[1]) as stream:
        fields = [Field(row) for row in json.load(stream)["fields"]]
    questions, schema = counting(fields), pandera_schema(fields)
    validator = jsonschema_rs.validator_for(json_schema(fields))
    frame, records = pl.DataFrame(), []
    peers = {
        "polars": lambda: sum(frame.select(questions).row(0)),
        "pandera": lambda: refused_by_pandera(schema, frame),
        "jsonschema-rs": lambda: sum(not validator.is_valid(record) for record in records),
    }
    print(json.dumps({"polars": pl.__version__, "threads": pl.thread_pool_size()}), flush=True)
    for line in sys.stdin:
        order, _, rest = line.strip().partition(" ")
        if order == "load":
            table = pa.ipc.open_file(pa.memory_map(rest)).read_all()
            frame, records = pl.from_arrow(table).rechunk(), table.slice(0, RECORDS).to_pylist()
            print("{}", flush=True)
            continue
        begun = time.perf_counter()
        refused = peers[order]()
        print(json.dumps({"seconds": time.perf_counter() - begun, "refused": refused}), flush=True)


if __name__ == "__main__":
    main()
