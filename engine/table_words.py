"""Short texts judged as words of eight bytes, many rows at once.

Most codes, dates and identifiers are short and say position by position which characters may stand there. The bytes of
a row are fetched as whole words, and all eight positions of a word are compared in one subtraction, which takes a third
of the time of running an expression on each row. What does not fit this mould is left to others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from re import _parser as sre  # type: ignore[attr-defined]  # the only way to see a pattern's structure
from typing import Any

import numpy as np
import pyarrow as pa

from engine.linear_patterns import ASCII, items_of
from engine.patterns import CATEGORIES, REPEATS
from engine.table_rows import BLOCK, offsets

MOST_WORDS = 3
MOST_RANGES = 4
MOST_LISTED = 8
MOST_ODD = 64  # rows of another length in a block that are left to others
LOOKS = 61
TILE = 1 << 13  # rows of one length that are compared at once
ROOMY = 64  # bytes of a row on average, above which copying them costs more than it saves
HIGH = np.uint64(0x8080808080808080)
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Which rows are fine, and the numbers of those that could not be judged."""

    fine: np.ndarray
    open: np.ndarray


class ShortPattern:
    """A pattern whose texts have, for each length, one range of characters or a few at each position."""

    def __init__(self, shapes: dict[int, list[Ranges]], *, longer: bool) -> None:
        """Write down the ranges of all lengths, which leave none out; `longer` says that longer texts may match."""
        self._shortest, self._longest = min(shapes), max(shapes)
        self._longer = longer
        self._shapes = shapes
        self._even: dict[int, list[tuple[np.ndarray, ...]]] = {}
        count = max(1, -(-self._longest // 8))
        depth = max((len(ranges) for shape in shapes.values() for ranges in shape), default=1)
        lows = np.zeros((depth, self._longest + 2, count * 8), "u1")
        highs = np.zeros_like(lows)
        for length, shape in shapes.items():
            beyond = shapes[self._longest][length:]  # whatever stands there, it is the next row's; alike is quicker
            for at, ranges in enumerate([*shape, *beyond]):
                for level in range(depth):
                    lows[level, length, at], highs[level, length, at] = ranges[min(level, len(ranges) - 1)]
        after = np.arange(count * 8) >= np.arange(self._longest + 2)[:, None]
        self._tables = [
            (
                [(self._table(lows[level], word), self._table(highs[level] | 128, word)) for level in range(depth)],
                self._table(after * np.uint8(128), word),
            )
            for word in range(count)
        ]

    def _table(self, rows: np.ndarray, word: int) -> np.ndarray:
        """Return a word for each length, or a single one if it is the same for all lengths that may be."""
        table = _words_of(rows, word)
        possible = np.unique(table[self._shortest : self._longest + 1])
        return possible[0] if len(possible) == 1 else table

    @classmethod
    def of(cls, pattern: str) -> ShortPattern | None:
        """Return a pattern, which `compile_pattern` has accepted, in this form; None if it has another."""
        try:
            parts = list(_parts(items_of(pattern)))
        except ValueError:
            return None
        varying = [at for at, (_, least, most) in enumerate(parts) if least != most]
        if len(varying) > 1 or not parts:
            return None
        most_at_all = sum(min(most, 8 * MOST_WORDS + 1) for _, _, most in parts)
        shapes = {}
        for length in range(sum(least for _, least, _ in parts), min(most_at_all, 8 * MOST_WORDS) + 1):
            spare = length - sum(least for _, least, _ in parts)
            shapes[length] = [
                ranges
                for at, (ranges, least, _) in enumerate(parts)
                for _ in range(least + (spare if at in varying else 0))
            ]
        return cls(shapes, longer=most_at_all > 8 * MOST_WORDS) if shapes else None

    def judge(self, column: pa.Array) -> Judged:
        """Judge texts that are in ASCII, all of them."""
        fine = np.ones(len(column), "?")
        left = []
        for block in _blocks(column):
            rows = fine[block.start : block.start + len(block.lengths)]
            length = block.usual_length()
            odd = np.flatnonzero(block.lengths != length)
            if length and self._shortest <= length <= self._longest and len(odd) <= MOST_ODD:
                for begin, end in itertools.pairwise([-1, *odd.tolist(), len(rows)]):
                    self._judge_even(block.between(begin + 1, end), length, rows[begin + 1 : end])
                left.append(odd + block.start)
                continue
            if block.roomy():
                left.append(np.arange(block.start, block.start + len(rows)))
                continue
            at = np.minimum(block.lengths, self._longest + 1).astype(np.intp)
            np.equal(_inside(block.words(len(self._tables)), at, self._tables), HIGH, out=rows)
            rows &= block.lengths >= self._shortest
            rows &= block.lengths <= self._longest
            if self._longer:
                left.append(np.flatnonzero(block.lengths > self._longest) + block.start)
        return Judged(fine, np.concatenate(left) if left else np.empty(0, "i8"))

    def _judge_even(self, content: np.ndarray, length: int, rows: np.ndarray) -> None:
        """Judge texts of one length, byte for byte: nothing has to be fetched."""
        levels = self._even.get(length)
        if levels is None:
            shape = self._shapes[length]
            depth = max(map(len, shape))
            levels = [
                tuple(
                    np.tile(np.array([ranges[min(level, len(ranges) - 1)][end] for ranges in shape], "u1"), TILE)
                    for end in (0, 1)
                )
                for level in range(depth)
            ]
            self._even = {length: levels}
        for start in range(0, len(rows), TILE):
            part = content[start * length : (start + TILE) * length]
            inside = np.zeros(len(part), "?")
            for lows, highs in levels:
                inside |= (part >= lows[: len(part)]) & (part <= highs[: len(part)])
            if not inside.all():
                rows[np.flatnonzero(~inside) // length + start] = False


class ShortList:
    """A few short texts, one of which a row has to be."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        """Write each text as words whose last byte tells its length, so that no two texts look alike."""
        self._count = max(len(text) for text in texts) // 8 + 1
        room = self._count * 8
        masks = np.zeros((room + 1, room), "u1")
        tags = np.zeros((room + 1, room), "u1")
        for length in range(room):
            masks[length, :length] = 255
            tags[length, -1] = length
        tags[room, -1] = 255
        self._tables = [(_words_of(masks, word), _words_of(tags, word)) for word in range(self._count)]
        self._texts = [np.frombuffer(text.ljust(room - 1, b"\0") + bytes([len(text)]), "<u8") for text in texts]

    @classmethod
    def of(cls, texts: Sequence[str]) -> ShortList | None:
        """Return the list in this form; None if it is long, or has long texts."""
        encoded = [text.encode() for text in texts]
        few = 0 < len(encoded) <= MOST_LISTED
        return cls(encoded) if few and max(map(len, encoded)) < 8 * MOST_WORDS else None

    def judge(self, column: pa.Array) -> Judged:
        """Judge texts."""
        fine = np.zeros(len(column), "?")
        left = []
        for block in _blocks(column):
            rows = fine[block.start : block.start + len(block.lengths)]
            if block.roomy():
                left.append(np.arange(block.start, block.start + len(rows)))
                continue
            at = np.minimum(block.lengths, self._count * 8).astype(np.intp)
            keys = [
                (word & masks.take(at, mode="clip")) | tags.take(at, mode="clip")
                for word, (masks, tags) in zip(block.words(self._count), self._tables, strict=True)
            ]
            for text in self._texts:
                same = keys[0] == text[0]
                for key, word in zip(keys[1:], text[1:], strict=True):
                    same &= key == word
                rows |= same
        return Judged(fine, np.concatenate(left) if left else np.empty(0, "i8"))


def _inside(words: Iterator[np.ndarray], at: np.ndarray, tables: list[tuple[Any, Any]]) -> np.ndarray:
    """Return words in which the high bit of each byte tells whether all bytes there are in one of their ranges.

    All bytes are ASCII, so with its high bit set a byte less its lower limit keeps the bit if it is not below, and a
    limit less the byte if it is not above; no byte borrows from its neighbour.
    """
    everywhere: Any = HIGH
    for word, (levels, beyond) in zip(words, tables, strict=True):
        raised = word | HIGH
        found = _look(beyond, at)
        for lows, highs in levels:
            inside = raised - _look(lows, at)
            inside &= _look(highs, at) - word
            found = inside | found
        everywhere = found & everywhere
    return everywhere


def _look(table: np.ndarray, at: np.ndarray) -> np.ndarray:
    return table.take(at, mode="clip") if table.ndim else table


def _words_of(rows: np.ndarray, word: int) -> np.ndarray:
    return np.ascontiguousarray(rows[:, word * 8 : word * 8 + 8]).view("<u8")[:, 0]


@dataclass(frozen=True, slots=True)
class _Block:
    """Some rows: the number of the first, where each begins in their content, and how many bytes it has."""

    start: int
    begins: np.ndarray
    lengths: np.ndarray
    content: np.ndarray

    def roomy(self) -> bool:
        """Tell whether the texts are so long that copying them would not pay."""
        return len(self.content) > ROOMY * len(self.lengths)

    def usual_length(self) -> int:
        """Return the length that most rows seem to have, by a look at some of them."""
        return int(np.bincount(np.minimum(self.lengths[::LOOKS], 8 * MOST_WORDS + 1)).argmax())

    def between(self, begin: int, end: int) -> np.ndarray:
        """Return the content of the rows from one up to another."""
        edges = [int(self.begins[at]) if at < len(self.begins) else len(self.content) for at in (begin, end)]
        return self.content[edges[0] : edges[1]]

    def words(self, count: int) -> Iterator[np.ndarray]:
        """Yield the first words of all rows, each put together from the two of the content on which it lies."""
        padded = np.zeros((len(self.content) // 8 + 1 + count) * 8, "u1")
        padded[: len(self.content)] = self.content
        content = padded.view("<u8")
        shift = ((self.begins & 7) << 3).astype("u8")
        back = np.uint64(64) - shift  # NumPy shifts by 64 to zero
        at = (self.begins >> 3).astype(np.intp)
        here = content.take(at, mode="clip")
        for _ in range(count):
            at += 1
            following = content.take(at, mode="clip")
            word = following << back
            word |= here >> shift
            yield word
            here = following


def _blocks(column: pa.Array) -> Iterator[_Block]:
    places = offsets(column)
    data = column.buffers()[2]
    content = np.frombuffer(data, "u1") if data is not None else np.empty(0, "u1")
    for start in range(0, len(column), BLOCK):
        ends = places[start : start + BLOCK + 1]
        first, last = int(ends[0]), int(ends[-1])
        yield _Block(start, ends[:-1] - first, ends[1:] - ends[:-1], content[first:last])


def _parts(items: Any) -> Iterator[tuple[Ranges, int, int]]:
    """Yield for each part of a pattern the characters it takes, and how often. Raises ValueError for other parts."""
    for operator, argument in items:
        if operator is sre.SUBPATTERN:
            yield from _parts(argument[3])
        elif operator in REPEATS:
            least, most, body = argument
            ((ranges, once, again),) = _parts(body)
            if (once, again) != (1, 1):
                raise ValueError("a repetition of a repetition")
            yield ranges, int(least), int(most)
        else:
            yield _ranges(operator, argument), 1, 1


def _ranges(operator: Any, argument: Any) -> Ranges:
    taken = [code for code in ASCII if _takes(operator, argument, code)]
    starts = [code for code in taken if code - 1 not in taken]
    ends = [code for code in taken if code + 1 not in taken]
    if not 0 < len(starts) <= MOST_RANGES:
        raise ValueError("characters all over the place")
    return tuple(zip(starts, ends, strict=True))


def _takes(operator: Any, argument: Any, code: int) -> bool:
    if operator is sre.LITERAL or operator is sre.NOT_LITERAL:
        return (argument == code) == (operator is sre.LITERAL)
    if operator is sre.ANY:
        return code != ord("\n")
    if operator is sre.RANGE:
        return bool(argument[0] <= code <= argument[1])
    if operator is sre.CATEGORY:
        return CATEGORIES[argument].fullmatch(chr(code)) is not None
    if operator is not sre.IN:
        raise ValueError("no single character")
    negated = argument[0][0] is sre.NEGATE
    return any(_takes(kind, value, code) for kind, value in argument[negated:]) != negated
