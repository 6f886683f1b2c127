"""Parts of a source of files: a whole file, or some row groups of a Parquet file. Each can be read alone, anywhere.

The key of a record is the same as when one process reads all: the name of its file, and its row there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from pyarrow import fs

from engine.errors import StreamError
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.descriptors import Stream
from engine.streams.files import SUFFIXES, FileSource, files, open_system, readable, told

LEAST_ROWS = 100_000  # row groups that are smaller go together
AT_ONCE = 8  # files whose ends are read at once


@dataclass(frozen=True, slots=True)
class Part:
    """A file as it was when it was divided; of a Parquet file, the row groups from one to before another."""

    path: str
    size: int
    modified: int  # nanoseconds since 1970
    first: int = 0
    behind: int | None = None  # none: the whole file
    row: int = 0  # the number in the file of the part's first row

    @property
    def name(self) -> str:
        """Return a name that only this part has, and has again."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]

    @property
    def words(self) -> str:
        """Return the part as a person reads it."""
        file = self.path.rsplit("/", 1)[-1]
        return file if self.behind is None else f"{file}, row groups {self.first} to {self.behind - 1}"


def divide(stream: Stream, *, secret: str, reach: Reach) -> list[Part]:
    """Return the parts of a source, in its order. Raises StreamError."""
    system, path = open_system(stream, secret=secret, reach=reach)
    with told():
        found = system.get_file_info(files(system, path, SUFFIXES[stream.encoding]))
    whole = [_whole(one) for one in found]
    if stream.encoding != "parquet":
        return whole
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [part for parts in pool.map(lambda one: list(_row_groups(system, one)), whole) for part in parts]


def _whole(info: fs.FileInfo) -> Part:
    return Part(info.path, info.size or 0, info.mtime_ns or 0)


def _row_groups(system: fs.FileSystem, whole: Part) -> Iterator[Part]:
    """Yield parts of a Parquet file, each with as few of its row groups as hold enough rows."""
    with readable(), system.open_input_file(whole.path) as stream:
        metadata = pa.parquet.read_metadata(stream)
    first = row = rows = 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows >= LEAST_ROWS or group == metadata.num_row_groups - 1:
            yield Part(whole.path, whole.size, whole.modified, first, group + 1, row)
            first, row, rows = group + 1, row + rows, 0


class PartSource(FileSource):
    """Reads one part."""

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach, part: Part) -> None:
        """Look whether the file is still what it was. Raises StreamError `source_changed`, or as a source of files."""
        self._part = part
        super().__init__(stream, schema, secret=secret, reach=reach)

    def _find(self, path: str) -> list[str]:
        """Return the part's file, if it is there and within the source."""
        if self._part.path != path and self._part.path.rpartition("/")[0] != path:
            raise StreamError("path_forbidden", f"{self._part.path} is no file of this source.", field="location.url")
        with told():
            found = self._system.get_file_info(self._part.path)
        if found.type != fs.FileType.File:
            raise StreamError("target_missing", f"{self._part.path} is not there any more.", field="location.url")
        if (found.size, found.mtime_ns or 0) != (self._part.size, self._part.modified):
            raise StreamError(
                "source_changed",
                f"{self._part.path} changed while the run went on; start the run again when it is complete.",
                field="location.url",
            )
        return [self._part.path]

    def _groups(self, file: Any) -> tuple[int, list[int] | None]:
        """Return the part's first row, and its row groups."""
        return self._part.row, None if self._part.behind is None else list(range(self._part.first, self._part.behind))
