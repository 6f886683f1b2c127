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
