"""The tree over the trail: what is sealed, what a head signs, and what can be proven of it."""

from threading import Event, Thread
from typing import Any

import orjson
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from audit import proofs, sealer
from audit.actors import Worker
from audit.envelopes import EnvelopeBroken
from audit.errors import Refused
from audit.merkle import consistent, included
from audit.models import AuditEvent, SigningKey, TreeHead, TreeLeaf, TreeNode
from audit.sealing import BATCH, KIND, LOCK, TreeBroken, seal, seal_all
from audit.signing import KeyRetired, open_signed, retire
from audit.trail import record
from tests.audit.building import CLERK, as_owner_of, write_chain


def test_new_events_become_leaves_under_a_signed_head(db: None, settings: Any) -> None:
    write_chain("handoff:a", 3)
    head = seal()
    assert head is not None
    assert head.size == 3
    assert [leaf.seq for leaf in TreeLeaf.objects.filter(chain="handoff:a").order_by("place")] == [1, 2, 3]
    told = orjson.loads(open_signed(KIND, head.envelope).payload)
    assert (told["size"], told["root"], told["at"]) == (3, bytes(head.root).hex(), head.at.isoformat())
    assert (told["head"], told["site"]) == (1, settings.SITE_URL)


def test_nothing_new_makes_no_head(db: None) -> None:
    assert seal_all() is None
    write_chain("handoff:a", 1)
    first = seal_all()
    assert first is not None
    assert seal() is None
    assert TreeHead.objects.count() == 2  # the first head's key is an event, too, and was sealed under the second


def test_every_event_is_sealed_once_however_many_there_are(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.sealing.BATCH", 100)
    write_chain("handoff:a", 150)
    write_chain("handoff:b", 450)
    head = seal_all()
    assert head is not None
    assert head.size == TreeLeaf.objects.count() == AuditEvent.objects.count() == 601
    assert sorted(TreeNode.objects.values_list("level", "place")) == [(8, 0), (8, 1)]
    assert BATCH >= 1000


def test_proofs_hold_for_every_event_and_every_pair_of_heads(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.sealing.BATCH", 90)
    write_chain("handoff:a", 600)
    seal_all()
    heads = list(TreeHead.objects.all())
    for head in (heads[0], heads[3], heads[-1]):
        leaves = list(TreeLeaf.objects.filter(place__lt=head.size).order_by("place"))
        found = proofs.paths([leaf.place for leaf in leaves], head.size)
        for leaf, path in zip(leaves, found, strict=True):
            assert included(bytes(leaf.hash), leaf.place, head.size, path, bytes(head.root))
    for old in heads:
        shown = proofs.consistency(old.size)
        assert consistent(old.size, bytes(old.root), shown.head.size, bytes(shown.head.root), shown.path)


def test_an_event_that_committed_late_is_sealed_later(transactional_db: None) -> None:
    written, sealed = Event(), Event()

    def slow() -> None:
        with transaction.atomic():
            record("answer.given", actor=CLERK, on="x", chain="handoff:slow")
            written.set()
            sealed.wait(20)
        connection.close()

    thread = Thread(target=slow)
    thread.start()
    written.wait(20)
    write_chain("handoff:quick", 3)
    first = seal()
    assert first is not None
    assert not TreeLeaf.objects.filter(chain="handoff:slow").exists()
    sealed.set()
    thread.join()
    seal()
    assert TreeLeaf.objects.filter(chain="handoff:slow").count() == 1


def test_two_sealers_leave_the_work_to_one(transactional_db: None) -> None:
    write_chain("handoff:a", 50)
    start = Event()

    def work() -> None:
        start.wait(20)
        for _ in range(3):
            seal()
        connection.close()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    start.set()
    for thread in threads:
        thread.join()
    seal_all()
    assert TreeLeaf.objects.count() == AuditEvent.objects.count()


def test_a_sealer_leaves_the_work_to_one_that_is_at_it(db: None) -> None:
    """It does not wait for the other, and seals nothing beside it."""
    write_chain("handoff:a", 1)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        assert seal() is None
        assert not TreeLeaf.objects.exists()
    finally:
        other.close()
        other.close_pool()
    assert seal() is not None


def test_the_loop_seals_until_it_is_stopped(transactional_db: None) -> None:
    write_chain("handoff:a", 2)
    stopped = Event()
    thread = Thread(target=sealer.run, args=[stopped])
    thread.start()
    for _ in range(200):
        if TreeLeaf.objects.filter(chain="handoff:a").count() == 2:
            break
        stopped.wait(0.05)
    stopped.set()
    thread.join(10)
    assert not thread.is_alive()
    assert TreeLeaf.objects.filter(chain="handoff:a").count() == 2


@pytest.mark.parametrize("what", ["root", "peaks", "as many peaks", "envelope"])
def test_a_head_that_was_tampered_with_is_not_grown(what: str, db: None) -> None:
    write_chain("handoff:a", 3)
    seal_all()
    other = {
        "root": "root = '\\x00'",
        "peaks": "peaks = repeat('x', 96)::bytea",
        "as many peaks": "peaks = repeat('x', length(peaks))::bytea",
        "envelope": "envelope = '{}'",
    }[what]
    newest = TreeHead.objects.latest("size").size
    as_owner_of("audit_treehead", f"UPDATE audit_treehead SET {other} WHERE size = %s", [newest])
    write_chain("handoff:a", 1)
    leaves = TreeLeaf.objects.count()
    if what == "root":  # not what growing goes by; verify_audit finds it
        assert seal() is not None
        return
    with pytest.raises(TreeBroken):
        seal()
    assert TreeLeaf.objects.count() == leaves


def test_a_retired_key_seals_nothing(db: None) -> None:
    write_chain("handoff:a", 1)
    seal()
    leaves = TreeLeaf.objects.count()
    retire(actor=Worker("clerk"), key_id=SigningKey.objects.get().pk, reason="lost")
    with pytest.raises(KeyRetired):
        seal()
    assert TreeLeaf.objects.count() == leaves


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_treeleaf SET hash = '\\x00'",
        "DELETE FROM audit_treeleaf",
        "UPDATE audit_treenode SET hash = '\\x00'",
        "DELETE FROM audit_treenode",
        "UPDATE audit_treehead SET at = now()",
        "DELETE FROM audit_treehead",
        "INSERT INTO audit_treehead SELECT size - 1, root, at, peaks, envelope, key_id FROM audit_treehead LIMIT 1",
        "INSERT INTO audit_treehead SELECT size + 9, root, at, peaks, envelope, key_id FROM audit_treehead LIMIT 1",
        "INSERT INTO audit_treenode (level, place, hash) VALUES (0, 7, '\\x00')",
        "INSERT INTO audit_treeleaf (place, event_id, chain, seq, hash) VALUES (-1, 99999, 'x', 1, '\\x00')",
    ],
)
def test_the_database_only_lets_the_tree_grow(statement: str, db: None) -> None:
    write_chain("handoff:a", 300)
    seal_all()
    before = [list(model.objects.order_by("pk").values()) for model in (TreeLeaf, TreeNode, TreeHead)]
    with pytest.raises((DatabaseError, IntegrityError)), transaction.atomic():
        connection.cursor().execute(statement)
    assert [list(model.objects.order_by("pk").values()) for model in (TreeLeaf, TreeNode, TreeHead)] == before


def test_what_is_not_in_the_tree_is_not_proven(db: None) -> None:
    write_chain("handoff:a", 2)
    with pytest.raises(Refused, match="no such tree head"):
        proofs.inclusion(AuditEvent.objects.earliest("pk"))
    seal_all()
    write_chain("handoff:a", 1)
    with pytest.raises(Refused, match="not in the tree"):
        proofs.inclusion(AuditEvent.objects.latest("pk"))
    with pytest.raises(Refused, match="later one"):
        proofs.consistency(3, 2)
    with pytest.raises(EnvelopeBroken):
        open_signed("application/other", TreeHead.objects.latest("size").envelope)


def test_a_leaf_is_proven_under_each_head_that_has_it_and_under_no_other(db: None) -> None:
    """The leaf right behind a head is not under it."""
    write_chain("handoff:a", 3)
    first, last = seal(), seal_all()
    assert first is not None
    assert last is not None
    for leaf in TreeLeaf.objects.all():
        event = AuditEvent.objects.get(pk=leaf.event_id)
        shown = proofs.inclusion(event)
        assert (shown.leaf, shown.head) == (leaf, last)
        assert included(bytes(leaf.hash), leaf.place, last.size, shown.path, bytes(last.root))
        if leaf.place < first.size:
            assert proofs.inclusion(event, first.size).head == first
        else:
            with pytest.raises(Refused, match="not in the tree"):
                proofs.inclusion(event, first.size)


def test_a_tree_that_lacks_a_leaf_proves_nothing_and_says_so(db: None) -> None:
    write_chain("handoff:a", 3)
    seal_all()
    as_owner_of("audit_treeleaf", "DELETE FROM audit_treeleaf WHERE place = 1")
    with pytest.raises(Refused, match="lacks what the proof needs"):
        proofs.inclusion(AuditEvent.objects.earliest("pk"))


class Few(Event):
    """A signal that is given by itself after some pauses, and remembers how long they were to be."""

    def __init__(self, many: int) -> None:
        """Begin."""
        super().__init__()
        self.many, self.pauses = many, list[float | None]()

    def wait(self, timeout: float | None = None) -> bool:
        """Count a pause instead of taking it."""
        self.pauses.append(timeout)
        if len(self.pauses) == self.many:
            self.set()
        return self.is_set()


def test_the_loop_looks_at_all_then_at_the_newest_and_now_and_then_further_back(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It seals batch after batch before it pauses, holds no session while it does, and stops between two batches."""
    monkeypatch.setattr("audit.sealing.BATCH", 1)
    asked: list[int | None] = []
    stopped = Few(4)

    def noted(*, back: int | None) -> TreeHead | None:
        asked.append(back)
        return seal(back=back)

    monkeypatch.setattr("audit.sealer.seal", noted)
    write_chain("handoff:a", 2)
    sealer.run(stopped)
    assert asked == [None] * 4 + [sealer.VERY_LATE, sealer.LATE, sealer.LATE]  # the first head's key is an event, too
    assert stopped.pauses == [sealer.EVERY] * 4
    assert connection.connection is None
    write_chain("handoff:a", 3)
    monkeypatch.setattr("audit.sealer.seal", lambda *, back: (stopped.set(), seal(back=back))[1])
    stopped.clear()
    sealer.run(stopped)
    assert TreeLeaf.objects.count() == AuditEvent.objects.count() - 2


def test_the_loop_seals_nothing_on_a_broken_tree_and_asks_again_later(transactional_db: None) -> None:
    write_chain("handoff:a", 1)
    seal_all()
    as_owner_of("audit_treehead", "UPDATE audit_treehead SET envelope = '{}'")
    write_chain("handoff:a", 1)
    leaves, stopped = TreeLeaf.objects.count(), Few(2)
    sealer.run(stopped)
    assert stopped.pauses == [sealer.PAUSE] * 2
    assert TreeLeaf.objects.count() == leaves
