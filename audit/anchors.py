"""Anchors: where each chain stood, written down outside the database.

A chain alone cannot tell that its tail was cut off, or that somebody wrote it anew. A file that the database's owner
cannot write can: each line holds the chains that changed since the line before it, with number and hash of their last
event, and the hash of the line before. Keep the file where lines can only be appended, and copy it away.
"""

import fcntl
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import rfc8785
from django.db import connection

from audit.models import TreeHead
from audit.verification import Broken

START = "0" * 64
# An event's number is drawn before its transaction commits: look back over those that may have come in late.
LATE = 10_000
# Lines are canonical JSON: each ends like this, and no name of a chain looks like it, for its quotes are escaped.
ENDING = re.compile(rb'"previous":"([0-9a-f]{64})",(?:"tree":\{[^{}]*\},)?"up_to":(\d+)\}\n?\Z')
WITHIN = 300  # bytes from the end of a line
EMPTY = b'"chains":{},'
HEADS = """
    SELECT DISTINCT ON (chain) chain, seq, encode(hash, 'hex') FROM audit_auditevent
    WHERE id > %s ORDER BY chain, seq DESC
"""
COMPARED = """
    SELECT told.chain, told.seq, event.hash IS NULL
    FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS told (chain, seq, hash)
    LEFT JOIN audit_auditevent AS event ON event.chain = told.chain AND event.seq = told.seq
    WHERE event.hash IS NULL OR encode(event.hash, 'hex') <> told.hash
"""

Heads = dict[str, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Anchor:
    """One line of the file."""

    at: str
    up_to: int
    chains: Mapping[str, tuple[int, str]]
    tree: tuple[int, str] | None = None


@dataclass(slots=True)
class Comparison:
    """What a comparison with the file found."""

    lines: int = 0
    heads: int = 0
    latest: str = ""
    broken: list[Broken] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    trees: dict[int, str] = field(default_factory=dict)


class FileBroken(Exception):
    """The file itself was changed, at a line of it."""

    def __init__(self, place: int, words: str) -> None:
        super().__init__(f"line {place} {words}")
        self.place = place


def write(path: Path, *, full: bool = False) -> Anchor:
    """Append where every chain stands that changed since the last line, or with `full` every chain.

    Raises FileBroken when the file was changed: nothing is appended to it then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b", opener=_only_owner) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        recent = deque[_Line]()  # those that tell of events which are looked at once more
        previous, up_to, torn = START, 0, False
        for line in _lines(file, []):
            previous, up_to, torn = line.hash, max(up_to, line.up_to), line.torn
            if line.raw and EMPTY not in line.raw:
                recent.append(line)
            while recent and recent[0].up_to < up_to - LATE:
                recent.popleft()
        known: Heads = {}
        for line in recent:
            known |= line.anchor().chains
        changed, newest = _changed(known, 0 if full else max(0, up_to - LATE), full=full)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        anchor = Anchor(at, max(newest, up_to), changed, _newest_head())
        file.write((b"\n" if torn else b"") + _text_of(anchor, previous) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return anchor


def compare(path: Path, chain: str | None = None) -> Comparison:
    """Compare the trail with every line of the file: each event named there must be there, with that hash."""
    found = Comparison()
    earliest: dict[str, Broken] = {}
    try:
        with path.open("rb") as file:
            heads = _heads(file, found, chain)
            while batch := list(islice(heads, 5000)):
                for broken in _differing(batch):
                    known = earliest.get(broken.chain)
                    if known is None or broken.seq < known.seq:
                        earliest[broken.chain] = broken
    except FileBroken as error:
        found.broken.append(Broken("the anchors' file", error.place, "anchor_file", str(error)))
    found.broken += [earliest[name] for name in sorted(earliest)]
    found.broken += list(islice(_other_heads(found.trees), 1))
    return found


def _other_heads(told: Mapping[int, str]) -> Iterator[Broken]:
    """Give the anchored heads of the tree that are gone or have another root now."""
    rows = TreeHead.objects.filter(size__in=told).values_list("size", "root")
    there = {size: bytes(root).hex() for size, root in rows}
    for size in sorted(told):
        if size not in there:
            yield Broken(
                "the tree", size, "cut", f"the head of {size:,} leaves was anchored, and is not there any more"
            )
        elif there[size] != told[size]:
            yield Broken("the tree", size, "rewritten", f"the head of {size:,} leaves was anchored with another root")


@dataclass(frozen=True, slots=True)
class _Line:
    """One line as it stands, of which only the end has been read."""

    place: int
    raw: bytes
    up_to: int
    hash: str

    @property
    def torn(self) -> bool:
        """Tell whether the line lacks its end."""
        return not self.raw.endswith(b"\n")

    def anchor(self) -> Anchor:
        """Read all of it. Raises FileBroken for what is not an anchor."""
        try:
            return _anchor_in(orjson.loads(self.raw))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileBroken(self.place, "is not an anchor") from error


def _heads(file: Any, found: Comparison, chain: str | None) -> Iterator[tuple[str, int, str]]:
    for line in _lines(file, found.notes):
        found.lines += 1
        if not line.raw:
            continue
        anchor = line.anchor()
        found.latest = anchor.at
        if anchor.tree and chain is None:
            found.trees[anchor.tree[0]] = anchor.tree[1]
        for name, (seq, digest) in anchor.chains.items():
            if chain is None or name == chain:
                found.heads += 1
                yield name, seq, digest


def _lines(file: Any, notes: list[str]) -> Iterator[_Line]:
    """Give the lines in order. Raises FileBroken for one that does not join on the line before it.

    Half a line, left by a crash, is noted and passed over: the next one joins on the whole line before it.
    """
    previous = START
    for place, raw in enumerate(file, 1):
        ending = ENDING.search(raw, max(0, len(raw) - WITHIN))
        if ending is None and _is_json(raw):
            raise FileBroken(place, "is not an anchor")
        if ending is None:
            notes.append(f"line {place} was cut short while it was written")
            if not raw.endswith(b"\n"):
                yield _Line(place, b"", 0, previous)
            continue
        if ending[1].decode() != previous:
            raise FileBroken(place, "does not join on the line before it")
        previous = sha256(raw.rstrip(b"\n")).hexdigest()
        yield _Line(place, raw, int(ending[2]), previous)


def _is_json(raw: bytes) -> bool:
    try:
        orjson.loads(raw)
    except ValueError:
        return False
    return True


def _anchor_in(told: Mapping[str, Any]) -> Anchor:
    chains = {str(name): (int(seq), str(digest)) for name, (seq, digest) in told["chains"].items()}
    tree = told.get("tree")
    head = (int(tree["size"]), str(tree["root"])) if tree else None
    return Anchor(str(told["at"]), int(told["up_to"]), chains, head)


def _text_of(anchor: Anchor, previous: str) -> bytes:
    chains: dict[str, Any] = {name: list(head) for name, head in anchor.chains.items()}
    told: dict[str, Any] = {"at": anchor.at, "chains": chains, "previous": previous, "up_to": anchor.up_to}
    if anchor.tree:
        told["tree"] = {"size": anchor.tree[0], "root": anchor.tree[1]}
    return rfc8785.dumps(told)


def _newest_head() -> tuple[int, str] | None:
    head = TreeHead.objects.order_by("-size").values_list("size", "root").first()
    return (head[0], bytes(head[1]).hex()) if head else None


def _changed(known: Heads, after: int, *, full: bool) -> tuple[Heads, int]:
    """Return the heads of chains that have moved on since they were last written down, and the newest event's id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM audit_auditevent")
        newest = int(cursor.fetchone()[0])
        cursor.execute(HEADS, [after])
        heads = {chain: (seq, digest) for chain, seq, digest in cursor}
    moved = {name: head for name, head in heads.items() if full or name not in known or head[0] > known[name][0]}
    return moved, newest


def _differing(told: list[tuple[str, int, str]]) -> Iterator[Broken]:
    """Give the anchored events that are gone or are others now."""
    with connection.cursor() as cursor:
        cursor.execute(COMPARED, [list(column) for column in zip(*told, strict=True)])
        for chain, seq, gone in cursor:
            if gone:
                yield Broken(chain, seq, "cut", "this event was anchored, and is not there any more")
            else:
                yield Broken(chain, seq, "rewritten", "this event was anchored with another hash")


def _only_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
