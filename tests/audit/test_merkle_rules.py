"""Merkle trees: every size, leaf and pair of sizes up to a bound, against the definition in the standard."""

from hashlib import sha256

import pytest

from audit.merkle import (
    EMPTY,
    Frontier,
    Place,
    consistency_places,
    consistent,
    included,
    inclusion_places,
    leaf_hash,
    node_hash,
    proof,
    whole,
    whole_subtrees,
)

MOST = 40
ENTRIES = [bytes([number]) for number in range(MOST)]


def defined(entries: list[bytes]) -> bytes:
    """Return the root as RFC 9162 (2.1.1) defines it."""
    if not entries:
        return EMPTY
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    half = 1
    while half * 2 < len(entries):
        half *= 2
    return sha256(b"\x01" + defined(entries[:half]) + defined(entries[half:])).digest()


def grown(size: int) -> tuple[Frontier, dict[Place, bytes]]:
    """Return the right edge and all whole subtrees of a tree."""
    frontier, nodes = Frontier(), {}
    for entry in ENTRIES[:size]:
        for level, place, found in frontier.append(entry):
            nodes[level, place] = found
    return frontier, nodes


@pytest.mark.parametrize("size", range(MOST + 1))
def test_roots_and_proofs_are_those_of_the_standard(size: int) -> None:
    frontier, nodes = grown(size)
    assert frontier.root == defined(ENTRIES[:size])
    for index in range(size):
        path = proof(inclusion_places(index, size), nodes.__getitem__)
        assert included(ENTRIES[index], index, size, path, frontier.root)
        assert not included(b"x", index, size, path, frontier.root)
        assert not any(
            included(ENTRIES[index], other, size, path, frontier.root)
            for other in range(-1, size + 1)
            if other != index
        )
        assert not included(ENTRIES[index], index, size, [*path, EMPTY], frontier.root)
        assert not path or not included(ENTRIES[index], index, size, path[:-1], frontier.root)
    for old in range(1, size + 1):
        path = proof(consistency_places(old, size), nodes.__getitem__)
        before = defined(ENTRIES[:old])
        assert consistent(old, before, size, frontier.root, path)
        assert not consistent(old, EMPTY, size, frontier.root, path)
        assert not consistent(old, before, size, EMPTY, path)
        assert not consistent(old, before, size, frontier.root, [*path, EMPTY])
        assert not path or not consistent(old, before, size, frontier.root, path[:-1])


def test_a_leaf_is_no_node_and_a_tree_grows_by_whole_subtrees() -> None:
    assert leaf_hash(EMPTY + EMPTY) != node_hash(EMPTY, EMPTY)
    one_by_one, _ = grown(32)
    at_once = Frontier()
    at_once.add(3, whole(ENTRIES[:8]))
    at_once.add(3, whole(ENTRIES[8:16]))
    at_once.add(4, whole(ENTRIES[16:32]))
    assert (at_once.size, at_once.peaks) == (32, one_by_one.peaks)
    with pytest.raises(ValueError, match="begins at"):
        at_once.add(6, EMPTY)
    with pytest.raises(ValueError, match="zip"):
        whole(ENTRIES[:6])


def test_ranges_are_covered_by_the_largest_whole_subtrees() -> None:
    """Every range up to the bound: at each leaf the largest that begins there and ends within it."""
    for start in range(MOST):
        for end in range(start, MOST + 1):
            expected, at = [], start
            while at < end:
                level = max(one for one in range(7) if at % 2**one == 0 and at + 2**one <= end)
                expected.append((level, at // 2**level))
                at += 2**level
            assert whole_subtrees(start, end) == expected


def test_a_longer_proof_than_a_tree_has_shows_nothing_whatever_the_root() -> None:
    """Nobody makes a leaf or a beginning of a tree by choosing root and proof to fit each other."""
    a, b, c, d, more = (leaf_hash(entry) for entry in ENTRIES[:5])
    assert not included(ENTRIES[0], 0, 1, [more], node_hash(more, a))
    assert not included(ENTRIES[0], 0, 2, [b, more], node_hash(more, node_hash(a, b)))
    ab, old, new = node_hash(a, b), node_hash(node_hash(a, b), c), node_hash(node_hash(a, b), node_hash(c, d))
    assert consistent(3, old, 4, new, [c, d, ab])
    assert not consistent(3, node_hash(more, old), 4, node_hash(more, new), [c, d, ab, more])
    assert not consistent(3, old, 8, new, [c, d, ab])  # nor by one that is too short
    assert not consistent(3, old, 4, new, [])


def test_what_cannot_be_proven_is_refused() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(ValueError, match="no leaf"):
            inclusion_places(index, size)
    for old, size in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="no beginning"):
            consistency_places(old, size)
    with pytest.raises(ValueError, match="peaks"):
        Frontier(3, [EMPTY])
    assert not included(b"", 0, 0, [], EMPTY)
    assert not consistent(0, EMPTY, 3, EMPTY, [])
