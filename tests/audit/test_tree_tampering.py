"""What the database's owner can do to a sealed trail is found, and told where: which event, and between which heads."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from audit import anchors
from audit.merkle import Frontier
from audit.models import AuditEvent, TreeHead, TreeLeaf
from audit.sealing import seal, seal_all
from audit.tree_verification import Proven, verify_tree
from audit.verification import verify, verify_between
from tests.audit.building import as_owner, as_owner_of, rewrite_from, write_chain

CHAIN = "handoff:b"
NEW = "FROM audit_auditevent WHERE chain = 'handoff:new'"
UNLINKED = "UPDATE audit_auditevent SET previous = hash WHERE chain = 'handoff:new' AND seq = 1"
TABLES = ("audit_treeleaf", "audit_treenode", "audit_treehead")


@pytest.fixture(autouse=True)
def trail(db: None, settings: Any, tmp_path: Path) -> None:
    """Seal three chains in several heads, with a whole tile of leaves among them; no other test has anchored them."""
    settings.ANCHORS = str(tmp_path / "none")
    for name, events in (("handoff:a", 200), (CHAIN, 100), ("handoff:c", 3)):
        write_chain(name, events)
        seal()
    seal_all()
    found = verify_tree(signatures=True)
    assert (found.broken, found.notes, found.leaves) == ([], [], AuditEvent.objects.count())


def edit(chain: str = CHAIN, seq: int = 50) -> None:
    """Rewrite an event, and all after it in its chain, so that the chain holds."""
    said = "UPDATE audit_auditevent SET body = replace(body, 'because', 'why') WHERE chain = %s AND seq = %s"
    as_owner(said, [chain, seq])
    rewrite_from(chain, seq)


def rules() -> list[tuple[str, int, str]]:
    """Return what a full proof of the tree finds."""
    return [(one.chain, one.seq, one.rule) for one in verify_tree().broken]


def head_after(place: int) -> TreeHead:
    """Return the first head over a leaf."""
    head = TreeHead.objects.filter(size__gt=place).order_by("size").first()
    assert head is not None
    return head


def place_of(chain: str, seq: int) -> int:
    """Return the leaf of an event."""
    return TreeLeaf.objects.get(chain=chain, seq=seq).place


def test_a_chain_written_anew_is_found_at_its_first_event() -> None:
    edit()
    assert verify().whole
    broken = verify_tree().broken
    assert [(one.chain, one.seq, one.rule) for one in broken] == [(CHAIN, 50, "sealed")]
    after = head_after(place_of(CHAIN, 50))
    assert f"that of {after.size:,} ({after.at:%Y-%m-%d %H:%M:%S} UTC)" in broken[0].message
    assert "was sealed, and is another one now" in broken[0].message


def test_a_cut_tail_is_found_without_anchors() -> None:
    as_owner("DELETE FROM audit_auditevent WHERE chain = %s AND seq > 97", [CHAIN])
    assert verify().whole
    [told] = verify_tree().broken
    assert (told.chain, told.seq, told.rule) == (CHAIN, 98, "sealed")
    assert "was sealed, and is not there any more" in told.message


def test_events_that_changed_places_between_chains_are_found() -> None:
    as_owner("UPDATE audit_auditevent SET chain = 'handoff:z' WHERE chain = 'handoff:c'")
    assert rules() == [("handoff:c", 1, "sealed")]


def test_a_deleted_chain_is_found() -> None:
    as_owner("DELETE FROM audit_auditevent WHERE chain = 'handoff:c'")
    assert verify().whole
    assert rules() == [("handoff:c", 1, "sealed")]


def leaves_follow() -> None:
    """Write leaves, nodes, roots and peaks anew over the events as they are; only the signatures cannot be."""
    as_owner_of(
        "audit_treeleaf",
        "UPDATE audit_treeleaf AS leaf SET hash = event.hash FROM audit_auditevent AS event"
        " WHERE event.id = leaf.event_id AND event.hash <> leaf.hash",
    )
    frontier, roots, nodes = Frontier(), {}, {}
    sizes = set(TreeHead.objects.values_list("size", flat=True))
    for entry in TreeLeaf.objects.order_by("place").values_list("hash", flat=True):
        for level, place, found in frontier.append(bytes(entry)):
            nodes[level, place] = found
        if frontier.size in sizes:
            roots[frontier.size] = (frontier.root, b"".join(frontier.peaks))
    for size, (root, peaks) in roots.items():
        as_owner_of(
            "audit_treehead", "UPDATE audit_treehead SET root = %s, peaks = %s WHERE size = %s", [root, peaks, size]
        )
    as_owner_of("audit_treenode", "UPDATE audit_treenode SET hash = %s WHERE level = 8 AND place = 0", [nodes[8, 0]])


def test_a_full_rewrite_is_found_between_two_heads_for_want_of_the_key() -> None:
    place = place_of(CHAIN, 50)
    edit()
    leaves_follow()
    assert verify().whole
    broken = verify_tree().broken
    before = TreeHead.objects.filter(size__lte=place).order_by("-size").first()
    assert before is not None
    assert [(one.seq, one.rule) for one in broken] == [(before.size, "root")]
    assert f"the head of {before.size:,} leaves" in broken[0].message
    assert f"that of {head_after(place).size:,}" in broken[0].message
    assert CHAIN in broken[0].message


def test_only_the_chains_between_those_heads_are_named() -> None:
    write_chain("handoff:d", 3)
    seal()
    edit("handoff:c", 2)
    leaves_follow()
    [told] = verify_tree().broken
    assert (told.rule, told.message[-12:]) == ("root", "in handoff:c")


@pytest.mark.parametrize(
    ("table", "statement", "rule"),
    [
        ("audit_treeleaf", "UPDATE audit_treeleaf SET hash = sha256('x') WHERE place = 60", "sealed"),
        ("audit_treeleaf", "DELETE FROM audit_treeleaf WHERE place = 60", "leaf_missing"),
        ("audit_treeleaf", "DELETE FROM audit_treeleaf WHERE place = 0", "leaf_missing"),
        ("audit_treeleaf", "DELETE FROM audit_treeleaf WHERE place = 256", "leaf_missing"),
        ("audit_treeleaf", "DELETE FROM audit_treeleaf WHERE place > 270", "leaf_missing"),
        ("audit_treehead", "DELETE FROM audit_treehead", "loose"),
        ("audit_treenode", "UPDATE audit_treenode SET hash = sha256('x')", "node"),
        ("audit_treenode", "DELETE FROM audit_treenode", "node"),
        ("audit_treehead", "UPDATE audit_treehead SET root = sha256('x') WHERE size = 200", "head"),
        (
            "audit_treehead",
            "UPDATE audit_treehead SET envelope = '{}' WHERE size > 300",
            "root",
        ),
        ("audit_treehead", "DELETE FROM audit_treehead WHERE size = (SELECT max(size) FROM audit_treehead)", "loose"),
    ],
)
def test_tampering_with_the_tree_itself_is_found(table: str, statement: str, rule: str) -> None:
    as_owner_of(table, statement)
    found = [one.rule for one in verify_tree().broken]
    assert rule in found
    assert len(found) == len(set(found)), "each is told once, and where it begins"


@pytest.mark.parametrize(("gone", "told"), [("= 0", 0), ("= 60", 0), ("= 256", 256), ("> 270", 271)])
def test_a_missing_leaf_is_told_by_where_its_tile_begins(gone: str, told: int) -> None:
    """Nothing behind it is believed; where the end is missing, the first leaf that is not there is told."""
    as_owner_of("audit_treeleaf", f"DELETE FROM audit_treeleaf WHERE place {gone}")
    assert ("leaf_missing", told) in [(one.rule, one.seq) for one in verify_tree().broken]


def test_heads_at_the_edge_of_a_tile_hold() -> None:
    """One leaf before it, on it, and one leaf behind it."""
    for size in (511, 512, 513):
        write_chain("handoff:edge", size - TreeLeaf.objects.count())
        head = seal()
        assert head is not None
        assert head.size == size
    found = verify_tree(signatures=True)
    assert (found.broken, found.proven.size) == ([], 513)


def test_nodes_over_tiles_that_are_sealed_whole_are_compared_too() -> None:
    for size in (512, 1024):
        write_chain("handoff:edge", size - TreeLeaf.objects.count())
        seal()
    assert verify_tree().broken == []
    as_owner_of("audit_treenode", "UPDATE audit_treenode SET hash = sha256('x') WHERE level = 8 AND place = 3")
    assert rules() == [("the tree", 768, "node")]


def test_an_envelope_of_an_older_head_is_found_when_every_signature_is_asked_for() -> None:
    as_owner_of("audit_treehead", "UPDATE audit_treehead SET envelope = '{}' WHERE size = 200")
    assert rules() == []
    assert [(one.seq, one.rule) for one in verify_tree(signatures=True).broken] == [(200, "head")]


def test_events_that_nobody_has_sealed_are_noted() -> None:
    write_chain("handoff:d", 1)
    as_owner("UPDATE audit_auditevent SET at = at - interval '2 minutes' WHERE chain = 'handoff:d'")
    assert verify_tree().notes[0].startswith("1 events are not sealed")


# On from the last proof


def proof(*arguments: str, path: Path, **options: object) -> str:
    """Run the command, with what it keeps in a folder of its own."""
    out = StringIO()
    call_command("verify_audit", *arguments, state=str(path / "proven"), stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Prove all, then write and seal on."""
    proof(path=tmp_path)
    write_chain(CHAIN, 5)
    write_chain("handoff:new", 2)
    seal()
    return tmp_path


def test_only_what_is_new_is_proven_again(kept: Path) -> None:
    told = proof("--new", path=kept)
    assert "7 sealed events under" in told
    assert "7 events in 2 chains" in told
    assert "0 sealed events" in proof("--new", path=kept)


@pytest.mark.parametrize(
    ("tamper", "where"),
    [
        (lambda: edit(CHAIN, 103), f"{CHAIN} event 103"),
        (lambda: as_owner(f"DELETE {NEW} AND seq = 2"), "handoff:new event 2"),
        (lambda: as_owner(UNLINKED), "new event 1"),
        (lambda: (edit(CHAIN, 60), leaves_follow()), "the tree event"),
        (lambda: [as_owner_of(name, f"DELETE FROM {name}") for name in TABLES], "the tree event"),
    ],
    ids=["edited", "cut", "unlinked", "all written anew", "tree gone"],
)  # fmt: skip
def test_what_is_new_is_proven_against_what_was(tamper: Callable[[], object], where: str, kept: Path) -> None:
    state = (kept / "proven").read_bytes()
    tamper()
    with pytest.raises(CommandError, match=where):
        proof("--new", path=kept)
    assert (kept / "proven").read_bytes() == state


def test_the_work_does_not_grow_with_the_age_of_the_trail(kept: Path) -> None:
    since = verify_tree().proven
    plans = []
    for more in (0, 400):
        write_chain("handoff:a", more)
        seal_all()
        since = verify_tree().proven
        write_chain("handoff:c", 3)
        seal_all()
        found = verify_tree(since)
        plans.append((found.leaves, verify_between(since.size, found.proven.size).events))
    assert plans == [(3, 3), (3, 3)]


def test_an_older_database_is_found_by_what_was_proven(kept: Path) -> None:
    proof("--new", path=kept)
    for name, column, most in (("audit_treehead", "size", 306), ("audit_treeleaf", "place", 303)):
        as_owner_of(name, f"DELETE FROM {name} WHERE {column} > {most}")
    as_owner("DELETE FROM audit_auditevent WHERE chain = 'handoff:new' OR chain = %s AND seq > 100", [CHAIN])
    for arguments in (["--new"], []):
        with pytest.raises(CommandError, match="the tree event"):
            proof(*arguments, path=kept)


def test_the_head_that_was_proven_last_is_missed_among_later_ones(kept: Path) -> None:
    """Leaves and later heads hold, and only what was kept tells."""
    since = verify_tree().proven
    write_chain(CHAIN, 1)
    seal()
    assert verify_tree(since).broken == []
    as_owner_of("audit_treehead", "DELETE FROM audit_treehead WHERE size = %s", [since.size])
    assert [(one.seq, one.rule) for one in verify_tree(since).broken] == [(since.size, "cut")]


def test_an_older_or_forged_tree_is_found_by_anchors(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    anchors.write(path)
    assert not anchors.compare(path).broken
    edit()
    leaves_follow()
    assert ("the tree", "rewritten") in [(one.chain, one.rule) for one in anchors.compare(path).broken]
    as_owner_of("audit_treehead", "DELETE FROM audit_treehead WHERE size > 200")
    assert ("the tree", "cut") in [(one.chain, one.rule) for one in anchors.compare(path).broken]


def test_what_is_kept_is_not_believed_when_it_does_not_fit(tmp_path: Path) -> None:
    found = verify_tree(Proven(1, "00", ("00" * 32,)))
    assert [(one.chain, one.seq, one.rule) for one in found.broken] == [("the tree", 0, "proven")]
    assert (found.leaves, found.heads) == (0, 0)
    (tmp_path / "proven").write_text("{}")
    with pytest.raises(CommandError, match="cannot be read"):
        proof("--new", path=tmp_path)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_treehead")
        assert cursor.fetchone()[0] > 0


def test_a_proof_counts_what_it_looked_at_and_the_time_it_took() -> None:
    tree, events = verify_tree(), verify()
    assert (tree.leaves, tree.heads) == (TreeLeaf.objects.count(), TreeHead.objects.count())
    assert (tree.broken, tree.notes, tree.proven.size) == ([], [], tree.leaves)
    assert events.events == tree.leaves
    assert events.chains == TreeLeaf.objects.values("chain").distinct().count()
    assert 0 < tree.seconds < 60
    assert 0 < events.seconds < 60


@pytest.mark.parametrize("prove", [verify, verify_tree, lambda: verify_between(0, 9)], ids=["all", "tree", "new"])
def test_a_proof_may_take_longer_than_any_other_statement(prove: Callable[[], object]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '1min'")
        prove()
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
