"""The trail as it is read: narrowed to what an account may read and asks for, and moments as an address tells them."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit import queries
from audit.actors import Person, Worker
from audit.errors import Hidden, Invalid
from audit.marks import mark_of
from audit.models import Account, PrintedName, TreeHead
from audit.names import named
from audit.queries import event, heads, listed, moment, require_auditor, timeline
from audit.sealing import seal_all
from audit.trail import record
from tests.audit.building import as_owner, write_chain

A, B, C = "model:a", "model:b", "handoff:c"
SALT = "5a" * 32


def chains_of(user: Account) -> Collection[str]:
    """Let rita read the chains of the two models, and nobody else anything."""
    return [A, B] if user.username == "rita" else []


@pytest.fixture
def rita(db: None, settings: Any) -> Account:
    """Return somebody who reads two of three chains, in which two people and two workers have acted."""
    settings.AUDIT_CHAINS_OF = f"{__name__}.chains_of"
    dana, otto = Account.objects.create(username="dana"), Account.objects.create(username="otto")
    write_chain(A, 2)
    write_chain(C, 2)
    write_chain(B, 1, Worker("sweeper"))
    record("signoff.given", actor=Person(dana, "api"), on="x", chain=B)
    record("signoff.refused", actor=Person(otto, "api"), on="x", chain=B)
    for number, (chain, seq) in enumerate([(A, 1), (A, 2), (C, 1), (C, 2), (B, 1), (B, 2), (B, 3)]):
        at = datetime(2026, 11, 20 + number, tzinfo=UTC)
        as_owner("UPDATE audit_auditevent SET at = %s WHERE chain = %s AND seq = %s", [at, chain, seq])
    return Account.objects.create(username="rita")


NARROWED: list[tuple[dict[str, str], list[tuple[str, int]]]] = [
    ({}, [(A, 1), (A, 2), (B, 1), (B, 2), (B, 3)]),
    ({"chain": A}, [(A, 1), (A, 2)]),
    ({"chain": "model:"}, [(A, 1), (A, 2), (B, 1), (B, 2), (B, 3)]),
    ({"chain": "model"}, []),
    ({"chain": C}, []),
    ({"chain": "handoff:"}, []),
    ({"action": "signoff.given"}, [(B, 2)]),
    ({"action": "signoff."}, [(B, 2), (B, 3)]),
    ({"action": "answer.given", "chain": B}, [(B, 1)]),
    ({"actor": "dana"}, [(B, 2)]),
    ({"actor": "sweeper"}, [(B, 1)]),
    ({"actor": "clerk", "action": "answer."}, [(A, 1), (A, 2)]),
    ({"actor": "nobody"}, []),
    ({"since": "2026-11-24"}, [(B, 1), (B, 2), (B, 3)]),
    ({"since": "2026-11-24T00:00:01Z"}, [(B, 2), (B, 3)]),
    ({"until": "2026-11-21"}, [(A, 1)]),
    ({"until": "2026-11-21T00:00:01Z"}, [(A, 1), (A, 2)]),
    ({"since": "2026-11-21", "until": "2026-11-26"}, [(A, 2), (B, 1), (B, 2)]),
]


@pytest.mark.parametrize("few", [0, 4, 5, 10_000])
def test_events_are_narrowed_alike_whether_few_or_many(
    few: int, rita: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "FEW", few)
    for filters, expected in NARROWED:
        found = listed(rita, **filters)  # type: ignore[arg-type]
        assert sorted(found.values_list("chain", "seq"), key=lambda one: (one[0], one[1])) == expected, filters
        assert not listed(Account.objects.get(username="dana"), **filters).exists()  # type: ignore[arg-type]


@pytest.mark.parametrize("action", ["nothing", "x.", "signoff", "signoff.giv", "given"])
def test_an_action_that_there_is_not_is_refused(action: str, rita: Account) -> None:
    with pytest.raises(Invalid) as refused:
        listed(rita, action=action)
    assert refused.value.as_dict() == {
        "code": "invalid",
        "message": f"There is no action {action}.",
        "todo": "Name one such as signoff.given, or a group of them such as signoff.",
        "fields": {"action": "is not known"},
    }


def test_one_event_is_read_by_who_may_read_its_chain(rita: Account) -> None:
    for chain, seq in ((A, 2), (B, 2)):
        found = event(rita, chain, seq)
        assert (found.chain, found.seq) == (chain, seq)
    for user, chain, seq in ((rita, A, 3), (rita, C, 1), (Account.objects.get(username="dana"), A, 1)):
        with pytest.raises(Hidden) as refused:
            event(user, chain, seq)
        assert refused.value.as_dict() == {
            "code": "not_found", "message": "There is no such event that you may read.",
            "todo": "Name its chain and its number in it.", "fields": {},
        }  # fmt: skip
    assert [(one.chain, one.seq) for one in timeline(B)] == [(B, 3), (B, 2), (B, 1)]


def test_heads_are_for_those_who_audit(rita: Account) -> None:
    seal_all()
    dana = Account.objects.get(username="dana")
    assert list(heads(rita)) == list(TreeHead.objects.all()) != []
    assert list(heads(dana)) == []
    require_auditor(rita)
    with pytest.raises(Hidden) as refused:
        require_auditor(dana)
    assert (refused.value.message, refused.value.todo) == (
        "The tree is for those who audit.", "An administrator grants the role.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T08:30:00Z", datetime(2026, 11, 23, 8, 30, tzinfo=UTC)),
        ("2026-11-23T08:30:00+02:00", datetime(2026, 11, 23, 6, 30, tzinfo=UTC)),
        ("2026-11-23T08:30:00 02:00", datetime(2026, 11, 23, 6, 30, tzinfo=UTC)),  # a plus in an address is a space
        ("2026-11-23T08:30", datetime(2026, 11, 23, 8, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_date_or_a_time_in_utc(text: str, expected: datetime) -> None:
    assert moment("since", text) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "2026-02-31", "2026-11-23T25:00", "2026-11-23T08:30:00Z!"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        moment("until", text)
    assert refused.value.as_dict() == {
        "code": "invalid",
        "message": f"{text} is no date or time.",
        "todo": "Write 2026-11-23 or 2026-11-23T08:00:00Z.",
        "fields": {"until": "is no date or time"},
    }


def test_names_stand_in_the_place_of_marks_by_one_query_for_those_that_are_there(db: None) -> None:
    accounts = {name: Account.objects.create(username=name.lower()) for name in ("Vera", "Otto", "Rita")}
    for name, account in accounts.items():
        PrintedName.objects.create(id=mark_of(SALT, name), account=account, name=name, salt=SALT)
    vera, otto, unknown = mark_of(SALT, "Vera"), mark_of(SALT, "Otto"), mark_of(SALT, "Mallory")
    with CaptureQueriesContext(connection) as asked:
        found = named({"by": vera, "rows": [f"{otto} for {unknown}", 7]})
    assert found == {"by": "Vera", "rows": [f"Otto for {unknown}", 7]}
    assert len(asked) == 1
    assert (vera in asked[0]["sql"], otto in asked[0]["sql"]) == (True, True)
    with CaptureQueriesContext(connection) as asked:
        assert named({"by": "Vera", "rows": [None]}) == {"by": "Vera", "rows": [None]}
    assert len(asked) == 0
    assert named([unknown]) == [unknown]
