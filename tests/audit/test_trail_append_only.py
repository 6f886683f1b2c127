"""The trail takes new events and nothing else, whoever asks and however."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from django.db import DatabaseError, connection, transaction

from audit.acts import act, one_transaction
from audit.models import AuditEvent
from audit.trail import record
from audit.verification import verify
from tests.audit.building import CLERK, as_owner, write_chain


def by_save() -> None:
    event = AuditEvent.objects.first()
    assert event
    event.body = "{}"
    event.save(update_fields=["body"])


def by_update() -> None:
    AuditEvent.objects.update(action="signoff.given")


def by_bulk_update() -> None:
    events = list(AuditEvent.objects.all())
    AuditEvent.objects.bulk_update(events, ["body"])


def by_delete() -> None:
    AuditEvent.objects.all().delete()


def by_upsert() -> None:
    event = AuditEvent.objects.get(seq=1)
    AuditEvent.objects.bulk_create([event], update_conflicts=True, update_fields=["body"], unique_fields=["id"])


def raw(statement: str) -> Callable[[], None]:
    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    return run


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(by_save, id="save"),
        pytest.param(by_update, id="queryset update"),
        pytest.param(by_bulk_update, id="bulk update"),
        pytest.param(by_delete, id="queryset delete"),
        pytest.param(by_upsert, id="bulk upsert"),
        pytest.param(raw("UPDATE audit_auditevent SET body = '{}'"), id="raw update"),
        pytest.param(raw("UPDATE audit_auditevent SET hash = hash"), id="raw update of nothing"),
        pytest.param(raw("DELETE FROM audit_auditevent WHERE seq = 3"), id="raw delete"),
        pytest.param(
            raw("MERGE INTO audit_auditevent t USING audit_auditevent s ON t.id = s.id WHEN MATCHED THEN DELETE"),
            id="raw merge",
        ),
    ],
)
def test_changing_an_event_is_refused(attack: Callable[[], None], db: None) -> None:
    write_chain("handoff:a", 3)
    before = as_stored()
    with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
        attack()
    assert as_stored() == before


def as_stored() -> list[tuple[int, str, bytes]]:
    """Return the trail as it is."""
    rows = AuditEvent.objects.order_by("pk").values_list("pk", "body", "hash")
    return [(pk, body, bytes(digest)) for pk, body, digest in rows]


def test_a_forged_place_time_and_hash_are_overwritten(db: None) -> None:
    write_chain("handoff:a", 2)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_auditevent"
            " (chain, seq, at, action, actor_kind, actor_label, subject, body, previous, hash)"
            " VALUES ('handoff:a', 1, '2001-01-01', 'answer.given', 'worker', 'clerk', 'handoff:a',"
            ' \'{"action":"answer.given","actor":{"id":null,"kind":"worker","label":"clerk","via":"worker"},'
            '"chain":"handoff:a","data":{},"reason":"","subject":"handoff:a"}\', \'x\', \'y\')'
        )
    last = AuditEvent.objects.latest("seq")
    assert (last.seq, last.at.year) == (3, AuditEvent.objects.get(seq=1).at.year)
    assert verify().whole


def test_an_event_needs_a_transaction_and_a_registered_name(transactional_db: None) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        record("answer.given", actor=CLERK, on="x", chain="site")
    with pytest.raises(KeyError), transaction.atomic():
        record("answer.invented", actor=CLERK, on="x", chain="site")
    assert not AuditEvent.objects.exists()


def test_an_event_tells_who_did_what_to_what_and_why(db: None) -> None:
    """In columns and in the bytes that are hashed; without data there is none."""
    for data in (None, {}, {"role": "risk"}):
        record("answer.given", actor=CLERK, on="handoff:x", chain="handoff:y", data=data, reason="because")
        event = AuditEvent.objects.latest("pk")
        told = json.loads(event.body)
        assert told["data"] == (data or {})
        assert (told["action"], told["subject"], told["chain"], told["reason"]) == (
            "answer.given", "handoff:x", "handoff:y", "because"
        )  # fmt: skip
        assert told["actor"]["kind"] == event.actor_kind == CLERK.kind
        assert (event.action, event.subject, event.chain) == (told["action"], told["subject"], told["chain"])


def test_what_fails_leaves_no_event(transactional_db: None) -> None:
    @act
    def fails() -> None:
        record("answer.given", actor=CLERK, on="x", chain="site")
        raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("shared", [False, True])
def test_an_act_inside_an_act_raises(shared: bool, transactional_db: None) -> None:
    @act
    def inner() -> None:
        raise AssertionError("it ran")

    @act
    def outer() -> None:
        inner()

    with one_transaction() if shared else nullcontext(), pytest.raises(RuntimeError, match="durable"):
        outer()


def test_acts_share_one_transaction_one_after_the_other(transactional_db: None) -> None:
    with one_transaction():
        assert (act(lambda: 1)(), act(lambda: 2)()) == (1, 2)
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        act(lambda: None)()


def test_an_act_inside_a_plain_transaction_raises(transactional_db: None) -> None:
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        act(lambda: None)()


def test_parallel_writers_fork_no_chain(transactional_db: None) -> None:
    """Eight writers, each with real commits, on one chain that all share and one of their own."""

    def write(writer: int) -> None:
        try:
            for _ in range(25):
                write_chain("site", 1)
                write_chain(f"handoff:{writer}", 2)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    shared = list(AuditEvent.objects.filter(chain="site").order_by("seq").values_list("seq", flat=True))
    assert shared == list(range(1, 201))
    found = verify()
    assert (found.whole, found.events, found.chains) == (True, 600, 9)


def test_the_owner_can_switch_triggers_off_and_is_found_out(db: None) -> None:
    write_chain("handoff:a", 3)
    as_owner("UPDATE audit_auditevent SET body = replace(body, 'because', 'no cause') WHERE seq = 2")
    assert [(broken.seq, broken.rule) for broken in verify().broken] == [(2, "hash")]
