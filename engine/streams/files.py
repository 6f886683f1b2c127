"""Files and object storage, by pyarrow's file systems: CSV, JSON lines, Parquet and Avro containers.

A source is one file, or a folder whose files are read in the order of their names. A sink is a folder: each batch
becomes one file, named by the batch's first key, which appears whole or not at all, and again under the same name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import json
import uuid
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

import fastavro
import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pyarrow import fs

from engine.errors import StreamError
from engine.exchange.arrow import to_arrow
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.cells import read_cells
from engine.streams.descriptors import Stream
from engine.streams.rows import KEY, Reject, Rows
from engine.streams.transports import Batch

SUFFIXES = {"csv": ".csv", "json_lines": ".jsonl", "parquet": ".parquet", "avro": ".avro"}
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
BLOCK = 8 << 20
LONGEST_LINE = 1 << 20


class FileSource:
    """Reads one file after the other, in batches, from a position on: the file's number, and the rows behind us."""

    endless = False

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach, position: Any = None) -> None:
        """List the files. Raises StreamError `target_missing`, `access_denied` or `unreachable`."""
        self._system, path = open_system(stream, secret=secret, reach=reach)
        self._schema, self._stream = schema, stream
        self._paths = self._find(path)
        self._start = tuple(position or (0, 0))
        self._batches: Generator[Batch] = self._all()

    def read(self) -> Batch | None:
        """Return the next batch, or None behind the last file."""
        with readable():
            batch = next(self._batches, None)
            if batch is None and self._stream.loop:
                self._start = (0, 0)
                self._batches = self._all()
                batch = next(self._batches, None)
        return batch

    def acknowledge(self, batch: Batch) -> None:
        """Do nothing: whoever runs the source keeps its position."""

    def close(self) -> None:
        """Close the file."""
        self._batches.close()

    def _find(self, path: str) -> list[str]:
        """Return the files to read."""
        return files(self._system, path, SUFFIXES[self._stream.encoding])

    def _all(self) -> Generator[Batch]:
        first, behind = self._start
        reader = {"csv": self._csv, "json_lines": self._lines, "parquet": self._parquet, "avro": self._avro}
        for number in range(first, len(self._paths)):
            skip = behind if number == first else 0
            for row, batch in reader[self._stream.encoding](self._paths[number], skip):
                batch.position = [number, row]
                yield batch

    def _key(self, path: str, row: int) -> str:
        return f"{path.rsplit('/', 1)[-1]}/{row}"

    def _keys(self, path: str, start: int, count: int) -> list[str]:
        name = path.rsplit("/", 1)[-1]
        return [f"{name}/{row}" for row in range(start, start + count)]

    def cells(self) -> Iterator[tuple[pa.RecordBatch, list[Any], int]]:
        """Yield all blocks of all CSV files as bytes, the misshapen lines met so far in each, and each file's number.

        An empty block ends each file.
        Raises StreamError `encoding_broken`.
        """
        with readable():
            for number, path in enumerate(self._paths):
                odd: list[Any] = []
                for block in self._blocks(path, odd):
                    yield block, odd, number
                yield self._no_cells(), odd, number

    def _no_cells(self) -> pa.RecordBatch:
        return pa.record_batch({name: pa.array([], pa.binary()) for name in self._schema.names})

    def _csv(self, path: str, skip: int) -> Iterator[tuple[int, Batch]]:
        """Yield batches of a CSV file. Cells are read as bytes first, so that a bad one costs its row and no other."""
        odd: list[Any] = []
        row = 0
        for block in self._blocks(path, odd):
            for start in range(0, block.num_rows, self._stream.batch.records):
                part = block.slice(start, self._stream.batch.records)
                row += part.num_rows
                if row <= skip:
                    continue
                keys = self._keys(path, row - part.num_rows, part.num_rows)
                table, kept, rejects = read_cells(part, self._schema, keys)
                yield row, Batch(kept, table=table, rejects=rejects + self._misshapen(path, odd))
        if odd:  # nothing but misshapen lines at the end
            yield row, Batch(rejects=self._misshapen(path, odd))

    def _blocks(self, path: str, odd: list[Any]) -> Iterator[pa.RecordBatch]:
        """Yield a CSV file's cells as bytes; `odd` gets the lines that have too few or too many."""

        def keep(row: Any) -> str:
            odd.append(row)
            return "skip"

        with self._system.open_input_stream(path) as stream:
            options = pa.csv.ReadOptions(use_threads=False, block_size=BLOCK)
            kinds = dict.fromkeys(self._schema.names, pa.binary())
            reader = pa.csv.open_csv(
                stream,
                read_options=options,
                parse_options=pa.csv.ParseOptions(invalid_row_handler=keep, newlines_in_values=True),
                convert_options=pa.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
            )
            yield from reader

    def _misshapen(self, path: str, odd: list[Any]) -> list[Reject]:
        found = [
            Reject(
                f"{path.rsplit('/', 1)[-1]}/line-{row.number}",
                "encoding",
                "row_misshapen",
                "",
                f"The line has {row.actual_columns} values, the header {row.expected_columns}.",
                row.text[:2000],
            )
            for row in odd
        ]
        odd.clear()
        return found

    def _lines(self, path: str, skip: int) -> Iterator[tuple[int, Batch]]:
        """Yield batches of a file of JSON lines."""
        with self._system.open_input_stream(path) as stream, io.BufferedReader(stream) as lines:
            row = 0
            while chunk := list(
                itertools.islice(iter(lambda: lines.readline(LONGEST_LINE), b""), self._stream.batch.records)
            ):
                row += len(chunk)
                if row <= skip:
                    continue
                yield row, self._decoded(path, row - len(chunk), chunk)

    def _decoded(self, path: str, start: int, chunk: list[bytes]) -> Batch:
        keys, records, rejects = [], [], []
        for row, line in enumerate(chunk, start):
            try:
                record = orjson.loads(line)
                words = "" if type(record) is dict else "The line is not an object."
            except orjson.JSONDecodeError as error:
                words = f"The line is not JSON: {error}."
            if words and line.strip():
                raw = line[:2000].decode(errors="backslashreplace")
                rejects.append(Reject(self._key(path, row), "encoding", "encoding_broken", "", words, raw))
            elif not words:
                keys.append(self._key(path, row))
                records.append(record)
        return Batch(keys, records, rejects=rejects)

    def _parquet(self, path: str, skip: int) -> Iterator[tuple[int, Batch]]:
        """Yield batches of a Parquet file, cast to the schema's types."""
        with self._system.open_input_file(path) as stream:
            file = pa.parquet.ParquetFile(stream)
            missing = [name for name in self._schema.names if name not in file.schema_arrow.names]
            if missing:
                raise StreamError("column_missing", f"{path} has no column {missing[0]}.", field=missing[0])
            row, groups = self._groups(file)
            for part in file.iter_batches(self._stream.batch.records, groups, list(self._schema.names)):
                row += part.num_rows
                if row <= skip:
                    continue
                keys = self._keys(path, row - part.num_rows, part.num_rows)
                table = pa.Table.from_batches([part]).select(list(self._schema.names))
                yield row, Batch(keys, table=table.cast(_nullable(to_arrow(self._schema))))

    def _groups(self, file: pa.parquet.ParquetFile) -> tuple[int, list[int] | None]:
        """Return the first row to read of a Parquet file, and the row groups: all."""
        return 0, None

    def _avro(self, path: str, skip: int) -> Iterator[tuple[int, Batch]]:
        """Yield batches of an Avro container file, resolved to our schema as Avro says."""
        ours = fastavro.parse_schema(json.loads(json.dumps(self._schema.to_dict())), named_schemas={})
        with self._system.open_input_stream(path) as stream:
            try:
                reader: Any = fastavro.reader(stream, reader_schema=ours)
            except Exception as error:  # fastavro raises whatever the bytes provoke
                raise ValueError(f"{path} is not an Avro file: {error!r}") from error
            row = 0
            while chunk := list(itertools.islice(reader, self._stream.batch.records)):
                row += len(chunk)
                if row > skip:
                    yield row, Batch(self._keys(path, row - len(chunk), len(chunk)), chunk)


class FileSink:
    """Writes each batch as one file of a folder."""

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach) -> None:
        """Open the file system, and make the folder. Raises StreamError."""
        self._system, self._folder = open_system(stream, secret=secret, reach=reach)
        self._encoding, self._local = stream.encoding, stream.location["url"].startswith("file:")
        with told():
            self._system.create_dir(self._folder, recursive=True)

    def write(self, rows: Rows) -> None:
        """Write a file that appears whole."""
        name = hashlib.sha256("\n".join(rows.keys).encode()).hexdigest()[:32] + SUFFIXES[self._encoding]
        content = _encoded(rows, self._encoding)
        path = f"{self._folder}/{name}"
        with told():
            if not self._local:  # an object appears when it is complete
                self._write(path, content)
                return
            part = f"{path}.{uuid.uuid4().hex[:8]}.part"  # two that write the same rows at once do not meet
            try:
                self._write(part, content)
                self._system.move(part, path)
            except OSError:
                with contextlib.suppress(OSError):  # each further attempt would take more of a disk that is full
                    self._system.delete_file(part)
                raise

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _write(self, path: str, content: Any) -> None:
        with self._system.open_output_stream(path) as stream:
            stream.write(content)


def open_system(stream: Stream, *, secret: str, reach: Reach) -> tuple[fs.FileSystem, str]:
    """Return a file system and a path in it. A secret for S3 is key:secret. Raises StreamError."""
    parts = urlsplit(stream.location["url"])
    if parts.scheme == "file":
        return fs.LocalFileSystem(), reach.path(parts.path)
    options = dict(one.split("=", 1) for one in parts.query.split("&") if "=" in one)
    endpoint = options.get("endpoint", "")
    host, _, port = endpoint.rpartition("://")[2].partition(":")
    if host:
        reach.address(host, int(port or 443))
    key, _, password = secret.partition(":")
    system = fs.S3FileSystem(
        access_key=key or None,
        secret_key=password or None,
        anonymous=not secret,
        endpoint_override=endpoint or None,
        region=options.get("region") or "us-east-1",
        connect_timeout=5,
        request_timeout=20,
    )
    return system, f"{parts.netloc}{parts.path}".rstrip("/")


def ask(stream: Stream, *, secret: str, reach: Reach) -> None:
    """Look for the files of a source; of a sink only whether its place answers. Raises StreamError."""
    system, path = open_system(stream, secret=secret, reach=reach)
    if stream.direction == "in":
        files(system, path, SUFFIXES[stream.encoding])
        return
    with told():
        system.get_file_info(path)


def files(system: fs.FileSystem, path: str, suffix: str) -> list[str]:
    """Return a file, or the files of a folder in the order of their names. Raises StreamError."""
    with told():
        found = system.get_file_info(path)
        if found.type == fs.FileType.File:
            return [path]
        if found.type == fs.FileType.NotFound:
            raise StreamError("target_missing", f"There is no file or folder {path}.", field="location.url")
        inside = system.get_file_info(fs.FileSelector(path))
        return sorted(one.path for one in inside if one.is_file and one.path.endswith(suffix))


def _encoded(rows: Rows, encoding: str) -> Any:
    if encoding == "json_lines":
        pairs = zip(rows.keys, rows.records, strict=True)
        return b"".join(orjson.dumps({KEY: key, **record}, option=orjson.OPT_APPEND_NEWLINE) for key, record in pairs)
    if encoding == "avro":
        return _container(rows)
    table = rows.table.add_column(0, KEY, pa.array(rows.keys, pa.string()))
    stream = pa.BufferOutputStream()
    (pa.csv.write_csv if encoding == "csv" else pa.parquet.write_table)(table, stream)
    return stream.getvalue()


def _container(rows: Rows) -> bytes:
    content = json.loads(json.dumps(rows.schema.to_dict()))
    content["fields"].insert(0, {"name": KEY, "type": "string"})
    stream = io.BytesIO()
    pairs = zip(rows.keys, rows.records, strict=True)
    parsed = fastavro.parse_schema(content, named_schemas={})
    fastavro.writer(stream, parsed, ({KEY: key, **record} for key, record in pairs), codec="deflate")
    return stream.getvalue()


def _nullable(schema: pa.Schema) -> pa.Schema:
    """Return a schema in which null may stand anywhere, so that the check can tell where it should not."""
    return pa.schema([one.with_nullable(True) for one in schema])


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Tell that a file is not what its encoding says."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        raise StreamError("encoding_broken", f"A file cannot be read: {str(error)[:300]}.", field="location") from error


class told:  # noqa: N801 - it reads as a word
    """Tell what a file system says in our words."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Turn an error of the system into a StreamError."""
        if isinstance(error, PermissionError):
            raise StreamError("access_denied", f"Access is refused: {error}.", field="secret") from error
        if isinstance(error, FileNotFoundError):
            raise StreamError("target_missing", f"Nothing is there: {error}.", field="location.url") from error
        if isinstance(error, OSError) and error.errno in FULL:
            raise StreamError("target_full", f"The storage is full: {error}.", field="location.url") from error
        if isinstance(error, OSError | pa.ArrowException):
            words = str(error)[:300]
            denied = "ACCESS_DENIED" in words or "InvalidAccessKeyId" in words or "SignatureDoesNotMatch" in words
            code = "access_denied" if denied else "unreachable"
            raise StreamError(code, f"The storage does not do it: {words}.", field="location.url") from error
