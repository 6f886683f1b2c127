"""Merkle trees as RFC 9162 (section 2.1) defines them: hashes, roots, and proofs of inclusion and of consistency.

A leaf's hash is SHA-256(0x00 ‖ entry), a node's is SHA-256(0x01 ‖ left ‖ right), so no leaf passes for a node. A tree
that grows keeps its whole subtrees for ever: the node `index` on `level` covers the leaves from index · 2^level on.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

Place = tuple[int, int]
NodeAt = Callable[[Place], bytes]
EMPTY = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two children."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: the roots of its whole subtrees, the largest first. All that growing it needs."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Take up a tree of some leaves. Raises ValueError when there are not as many peaks as its size has."""
        if len(peaks) != size.bit_count():
            raise ValueError(f"A tree of {size} leaves has {size.bit_count()} peaks, not {len(peaks)}.")
        self.size = size
        self.peaks = list(peaks)

    def append(self, entry: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf, and return every node that became whole by it: level, index and hash, the leaf first."""
        return self.add(0, leaf_hash(entry))

    def add(self, level: int, root: bytes) -> list[tuple[int, int, bytes]]:
        """Add a whole subtree of 2^level leaves, and return every node that became whole by it, itself the first.

        Raises ValueError where such a subtree cannot begin.
        """
        if self.size & ((1 << level) - 1):
            raise ValueError(f"No subtree of level {level} begins at leaf {self.size}.")
        index, found = self.size >> level, root
        self.size += 1 << level
        became = [(level, index, found)]
        while index & 1:
            found = node_hash(self.peaks.pop(), found)
            index, level = index >> 1, level + 1
            became.append((level, index, found))
        self.peaks.append(found)
        return became

    @property
    def root(self) -> bytes:
        """Return the hash of the whole tree."""
        if not self.peaks:
            return EMPTY
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node_hash(peak, found)
        return found


def whole(entries: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of entries, quickly."""
    level = [sha256(b"\x00" + entry).digest() for entry in entries]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return level[0]


def inclusion_places(index: int, size: int) -> list[list[Place]]:
    """Return the places of the whole subtrees that make each hash of the proof that a leaf is in a tree of a size.

    Raises ValueError for a leaf that is not in the tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"There is no leaf {index} in a tree of {size}.")
    return [whole_subtrees(*one) for one in _path(index, 0, size)]


def consistency_places(old: int, size: int) -> list[list[Place]]:
    """Return the same for the proof that a tree of `old` leaves is the beginning of one of `size`.

    Raises ValueError where there is nothing to prove: no old tree, or one that is larger.
    """
    if not 0 < old <= size:
        raise ValueError(f"A tree of {old} leaves is no beginning of one of {size}.")
    return [whole_subtrees(*one) for one in _joints(old, 0, size, whole=True)]


def whole_subtrees(start: int, end: int) -> list[Place]:
    """Return the places of the largest whole subtrees that cover leaves start to end, from the left."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        found.append((level, start >> level))
        start += 1 << level
    return found


def proof(places: Sequence[Sequence[Place]], node: NodeAt) -> list[bytes]:
    """Return the hashes of a proof, given where its subtrees are and a function that gives a subtree's hash."""
    return [_joined([node(place) for place in one]) for one in places]


def included(entry: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tell whether a proof shows that an entry is leaf `index` of the tree of a size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf_hash(entry)
    for other in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(other, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, other)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def consistent(old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that the old tree is the beginning of the newer one (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not path and old_root == root
    hashes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not hashes:
        return False
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = hashes[0]
    for other in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(other, before), node_hash(other, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, other)
        place, last = place >> 1, last >> 1
    return last == 0 and before == old_root and after == root


def _path(index: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Give the ranges of leaves beside the way from a leaf up to the root, the nearest first."""
    if end - start == 1:
        return
    middle = start + _largest_power_below(end - start)
    if index < middle:
        yield from _path(index, start, middle)
        yield middle, end
    else:
        yield from _path(index, middle, end)
        yield start, middle


def _joints(old: int, start: int, end: int, *, whole: bool) -> Iterator[tuple[int, int]]:
    """Give the ranges that both trees are joined from; `whole` says that the old part is a tree known by its root."""
    if old == end:
        if not whole:
            yield start, end
        return
    middle = start + _largest_power_below(end - start)
    if old <= middle:
        yield from _joints(old, start, middle, whole=whole)
        yield middle, end
    else:
        yield from _joints(old, middle, end, whole=False)
        yield start, middle


def _largest_power_below(number: int) -> int:
    return 1 << ((number - 1).bit_length() - 1)


def _joined(hashes: Sequence[bytes]) -> bytes:
    found = hashes[-1]
    for one in reversed(hashes[:-1]):
        found = node_hash(one, found)
    return found
