"""Every kind of tampering is found, and the first broken event is named."""

from collections.abc import Callable
from hashlib import sha256
from io import StringIO
from pathlib import Path
from random import Random

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from audit import anchors
from audit.actors import Person
from audit.models import Account, AuditEvent
from audit.trail import record
from audit.verification import EPOCH, HEAD, LENGTH, NUMBERS, Chain, event_at, packed_events, verify
from tests.audit.building import as_owner, rewrite_from, write_chain

CHAIN = "handoff:b"
EVENTS = 8


@pytest.fixture(autouse=True)
def trail(db: None) -> None:
    """Write three chains; the one in the middle is tampered with."""
    for name in ("handoff:a", CHAIN, "handoff:c"):
        write_chain(name, EVENTS)


def edit(seq: int) -> None:
    as_owner(
        "UPDATE audit_auditevent SET body = replace(body, 'because', 'no cause') WHERE chain = %s AND seq = %s",
        [CHAIN, seq],
    )


def edit_with_a_fitting_hash(seq: int) -> None:
    edit(seq)
    kept = AuditEvent.objects.filter(chain=CHAIN, seq__gt=seq).order_by("seq").values_list("pk", "previous", "hash")
    kept = [(pk, bytes(previous), bytes(digest)) for pk, previous, digest in kept]
    rewrite_from(CHAIN, seq)
    for pk, previous, digest in kept:
        as_owner("UPDATE audit_auditevent SET previous = %s, hash = %s WHERE id = %s", [previous, digest, pk])


def delete(seq: int) -> None:
    as_owner("DELETE FROM audit_auditevent WHERE chain = %s AND seq = %s", [CHAIN, seq])


def delete_and_close_up(seq: int) -> None:
    delete(seq)
    for later in range(seq + 1, EVENTS + 1):
        as_owner("UPDATE audit_auditevent SET seq = seq - 1 WHERE chain = %s AND seq = %s", [CHAIN, later])


def insert_a_copy(seq: int) -> None:
    for later in range(EVENTS, seq - 1, -1):
        as_owner("UPDATE audit_auditevent SET seq = seq + 1 WHERE chain = %s AND seq = %s", [CHAIN, later])
    as_owner(
        "INSERT INTO audit_auditevent (chain, seq, at, action, actor_kind, actor_label, subject, body, previous, hash)"
        " SELECT chain, %s, at, action, actor_kind, actor_label, subject, body, previous, hash FROM audit_auditevent"
        " WHERE chain = %s AND seq = %s",
        [seq, CHAIN, seq + 1],
    )


def reorder(seq: int) -> None:
    for was, becomes in ((seq, 1000), (seq + 1, seq), (1000, seq + 1)):
        as_owner("UPDATE audit_auditevent SET seq = %s WHERE chain = %s AND seq = %s", [becomes, CHAIN, was])


def move_the_clock(seq: int) -> None:
    as_owner("UPDATE audit_auditevent SET at = at - interval '1 hour' WHERE chain = %s AND seq = %s", [CHAIN, seq])


def set_column(column: str, value: str) -> Callable[[int], None]:
    def change(seq: int) -> None:
        as_owner(f"UPDATE audit_auditevent SET {column} = %s WHERE chain = %s AND seq = %s", [value, CHAIN, seq])

    return change


def delete_and_write_anew(seq: int) -> None:
    delete(seq)
    rewrite_from(CHAIN, seq)


def tell_otherwise(was: str, becomes: str) -> Callable[[int], None]:
    """Change what an event's body says of its columns, and write the chain anew from there on."""

    def change(seq: int) -> None:
        said = "UPDATE audit_auditevent SET body = replace(body, %s, %s) WHERE chain = %s AND seq = %s"
        as_owner(said, [was, becomes, CHAIN, seq])
        rewrite_from(CHAIN, seq)

    return change


def shorten_hash(seq: int) -> None:
    as_owner("UPDATE audit_auditevent SET hash = 'short' WHERE chain = %s AND seq = %s", [CHAIN, seq])


@pytest.mark.parametrize("seq", [1, 4, EVENTS - 1])
@pytest.mark.parametrize(
    ("tamper", "offset", "rule"),
    [
        pytest.param(edit, 0, "hash", id="edit"),
        pytest.param(edit_with_a_fitting_hash, 1, "link", id="edit with a fitting hash"),
        pytest.param(delete, 0, "missing", id="delete"),
        pytest.param(delete_and_close_up, 0, "link", id="delete and close up"),
        pytest.param(insert_a_copy, 1, "link", id="insert a copy"),
        pytest.param(reorder, 0, "link", id="reorder"),
        pytest.param(move_the_clock, 0, "hash", id="move the clock"),
        pytest.param(set_column("action", "signoff.given"), 0, "columns", id="action column"),
        pytest.param(set_column("actor_label", "Rita"), 0, "columns", id="actor column"),
        pytest.param(set_column("subject", "handoff:z"), 0, "columns", id="subject column"),
        pytest.param(set_column("actor_kind", "person"), 0, "columns", id="kind column"),
        pytest.param(set_column("previous", "\\x00"), 0, "link", id="previous hash"),
        pytest.param(shorten_hash, 0, "hash", id="shortened hash"),
        pytest.param(delete_and_write_anew, 0, "missing", id="delete and write anew"),
        pytest.param(tell_otherwise("answer.given", "signoff.given"), 0, "columns", id="action in the body"),
        pytest.param(tell_otherwise('"chain":"handoff:b"', '"chain":"handoff:z"'), 0, "columns", id="chain in it"),
        pytest.param(tell_otherwise('"subject":"handoff:b"', '"subject":"x"'), 0, "columns", id="subject in it"),
    ],
)
def test_tampering_inside_a_chain_is_found(tamper: Callable[[int], None], offset: int, rule: str, seq: int) -> None:
    assert verify().whole
    tamper(seq)
    wanted = seq + offset
    found = verify()
    assert [(broken.chain, broken.seq, broken.rule) for broken in found.broken] == [(CHAIN, wanted, rule)]
    assert [broken.seq for broken in verify(CHAIN).broken] == [wanted]
    assert verify("handoff:a").whole


@pytest.mark.parametrize(("field", "rule"), [(0, "missing"), (1, "link"), (2, "link"), (3, "hash")])
def test_no_field_passes_for_several(field: int, rule: str) -> None:
    """An owner may change the types of columns, so that a field of any length holds what is read as an event."""
    event, _ = event_at(next(iter(packed_events(CHAIN)))[1], 0)
    start, end = event.body.split(b'"number":0')
    rest = LENGTH.pack(0) * (4 - field) + LENGTH.pack(len(end))
    body = start + rest + end
    wide = HEAD.size + len(event.columns) + LENGTH.size + len(start) - (12, 28, 44, 84)[field]
    widths = [wide if place == field else was for place, was in enumerate((8, 8, 32, 32))]
    digest = sha256(event.previous + NUMBERS.pack(1, event.at) + body).digest()
    numbers = (widths[0], 1, widths[1], event.at - EPOCH, widths[2], event.previous, widths[3], digest)
    packed = HEAD.pack(*numbers, len(event.columns)) + event.columns + LENGTH.pack(len(body)) + body
    row, behind = event_at(packed, 0)
    assert (row.body, behind) == (end, len(packed)), "so the database would send it"
    chain = Chain(CHAIN)
    assert chain.add(packed) == 1
    assert chain.broken is not None
    assert chain.broken.rule == rule


def test_an_event_moved_to_another_chain_is_found() -> None:
    moved = "UPDATE audit_auditevent SET chain = %s, seq = %s WHERE chain = 'handoff:c' AND seq = 8"
    as_owner(moved, [CHAIN, EVENTS + 1])
    assert [(broken.chain, broken.seq, broken.rule) for broken in verify().broken] == [(CHAIN, EVENTS + 1, "link")]


def test_random_tampering_is_found_at_its_place() -> None:
    chance = Random(20261123)
    tampers = [edit, delete, delete_and_close_up, reorder, move_the_clock, shorten_hash]
    for _ in range(60):
        tamper, seq = chance.choice(tampers), chance.randint(1, EVENTS - 1)
        with transaction.atomic():
            tamper(seq)
            assert [(broken.chain, broken.seq) for broken in verify().broken] == [(CHAIN, seq)], (tamper, seq)
            transaction.set_rollback(True)
    assert verify().whole


def test_events_behind_a_broken_one_are_counted_and_no_more_is_told_of_them() -> None:
    write_chain("long", 1500)
    as_owner("UPDATE audit_auditevent SET at = at - interval '1 hour' WHERE chain = 'long' AND seq IN (500, 1400)")
    found = verify()
    assert [(broken.chain, broken.seq, broken.rule) for broken in found.broken] == [("long", 500, "hash")]
    assert found.events == 3 * EVENTS + 1500


def test_names_in_any_script_and_long_chains_verify() -> None:
    person = Account.objects.create_user("zoe", first_name='Zoë "Z" \\', last_name="Žižek\t日本 \u2028", password=None)
    for _ in range(3):
        record("answer.given", actor=Person(person, "api"), on="x", chain="site", data={"é": ["\u0001", 1.5, None]})
    write_chain("long", 2100)
    found = verify()
    assert (found.whole, found.events) == (True, 3 * EVENTS + 3 + 2100)


# What a chain cannot prove by itself, anchors prove.


@pytest.fixture
def anchored(tmp_path: Path) -> Path:
    """Anchor the chains as they are now, then write on."""
    path = tmp_path / "anchors.jsonl"
    anchors.write(path)
    write_chain(CHAIN, 2)
    anchors.write(path)
    assert not anchors.compare(path).broken
    return path


def places(path: Path) -> list[tuple[str, int, str]]:
    """Return what the comparison with the file finds."""
    return [(broken.chain, broken.seq, broken.rule) for broken in anchors.compare(path).broken]


def test_a_cut_tail_is_found_by_anchors_only(anchored: Path) -> None:
    delete(EVENTS + 2)
    assert verify().whole
    assert places(anchored) == [(CHAIN, EVENTS + 2, "cut")]
    delete(EVENTS + 1)
    delete(EVENTS)
    assert places(anchored) == [(CHAIN, EVENTS, "cut")]


def test_a_cut_tail_that_grew_again_is_found(anchored: Path) -> None:
    delete(EVENTS + 2)
    write_chain(CHAIN, 5)
    assert verify().whole
    assert places(anchored) == [(CHAIN, EVENTS + 2, "rewritten")]


def test_a_chain_written_anew_is_found_by_anchors_only(anchored: Path) -> None:
    edit(3)
    rewrite_from(CHAIN, 3)
    assert verify().whole
    assert places(anchored) == [(CHAIN, EVENTS, "rewritten")]


def test_a_chain_that_vanished_is_found(anchored: Path) -> None:
    as_owner("DELETE FROM audit_auditevent WHERE chain = %s", [CHAIN])
    assert verify().whole
    assert places(anchored) == [(CHAIN, EVENTS, "cut")]


def test_an_older_database_put_back_is_found(anchored: Path) -> None:
    as_owner("DELETE FROM audit_auditevent WHERE seq > 5")
    assert places(anchored) == [(name, EVENTS, "cut") for name in ("handoff:a", CHAIN, "handoff:c")]


def test_the_command_names_the_first_broken_event(anchored: Path) -> None:
    out = StringIO()
    call_command("verify_audit", anchors=str(anchored), stdout=out)
    assert "whole" in out.getvalue()
    edit(3)
    with pytest.raises(CommandError, match=f"{CHAIN} event 3"):
        call_command("verify_audit", anchors=str(anchored), stdout=out)
    with pytest.raises(CommandError, match="no chain"):
        call_command("verify_audit", chain="handoff:nowhere", stdout=out)
    with pytest.raises(CommandError, match="no file"):
        call_command("verify_audit", anchors=str(anchored) + "x", stdout=out)


def test_the_recipe_in_the_model_is_what_is_checked() -> None:
    """Compute one hash by hand, apart from both the trigger and the proof."""
    rewrite_from(CHAIN, 1)
    assert verify().whole
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_auditevent")
        assert cursor.fetchone() == (3 * EVENTS,)
