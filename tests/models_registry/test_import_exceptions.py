"""Exceptions to an import policy: who asks, who answers, once; what they let in, and until when, by every door."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person, ServiceAccount
from audit.errors import Refused
from audit.models import Account, AuditEvent
from models_registry import queries
from models_registry.models import Environment, EnvironmentUserGrant, ImportException
from models_registry.rules.import_exceptions import Exceptions, exceptions_of, with_exceptions
from models_registry.rules.import_policies import AskedVerdict
from models_registry.services import import_exceptions
from tests.handoff import building
from tests.handoff.building import Place, a_profile

Door = Callable[..., int]
V1 = "/api/v1/environments/production/exceptions/"
POLICY = {
    "default": "allow",
    "rules": {
        "torch": [
            {"answer": "prohibit", "versions": "<2.6", "reason": "It loads pickles without asking."},
            {"answer": "allow", "versions": ">=2.6,<3"},
        ],
        "polars": {"answer": "warn", "reason": "Young."},
    },
    "licences": ["BSD-3-Clause", "MIT"],
}
ASKED = {"library": "Torch", "version": "2.5.0", "reason": "The weights were trained with it."}


@pytest.fixture
def place(db: None, store: Any) -> Place:
    """Return a place whose production prohibits old torch; olga runs it beside otto, and robot is dana's."""
    made = building.a_place()
    Environment.objects.filter(slug="production").update(import_policy=POLICY, packages={"torch": "2.5.0"})
    made.people["olga"] = building.person("olga")
    building._grant(EnvironmentUserGrant, made.olga, "it_operations", made.target)
    made.people["robot"] = Account.objects.create(username="robot", kind="service", responsible=made.otto)
    return made


def today(days: int = 0) -> date:
    return timezone.localdate() + timedelta(days=days)


def by(who: str) -> Any:
    account = Account.objects.get(username=who)
    return Person(account, "test") if account.is_person else ServiceAccount(account, "test")


def asked(who: str = "dana", **more: Any) -> ImportException:
    """Return an open request."""
    return import_exceptions.ask(actor=by(who), environment="production", **{**ASKED, **more})


def granted(until: date | None = None, **more: Any) -> ImportException:
    """Return an exception that otto granted."""
    made = asked(**more)
    given = {"answer": "granted", "until": until or today(30)}
    return import_exceptions.answer(actor=by("otto"), environment="production", exception_id=made.pk, **given)


def written() -> tuple[Any, ...]:
    """Return all that these acts write."""
    events = AuditEvent.objects.exclude(chain__startswith="account:").count()
    return list(ImportException.objects.order_by("pk").values()), events


def by_service(who: str, act: str, values: dict[str, Any], made: ImportException | None = None) -> int:
    more = {} if made is None else {"exception_id": made.pk}
    try:
        getattr(import_exceptions, act)(actor=by(who), environment="production", **values, **more)
    except Refused as refusal:
        return refusal.status
    return 200


def by_api(who: str, act: str, values: dict[str, Any], made: ImportException | None = None) -> int:
    client = APIClient()
    client.force_authenticate(Account.objects.get(username=who))
    answer = client.post(V1 if made is None else f"{V1}{made.pk}/{act}/", values, format="json")
    return 200 if answer.status_code == 201 else int(answer.status_code)


DOORS = pytest.mark.parametrize("door", [by_service, by_api])


@DOORS
@pytest.mark.parametrize(
    ("who", "expected"), [("dana", 200), ("iris", 200), ("otto", 200), ("vera", 403), ("mallory", 404), ("robot", 404)]
)
def test_data_scientists_ask_and_whoever_works_there(place: Place, door: Door, who: str, expected: int) -> None:
    before = written()
    assert door(who, "ask", ASKED) == expected
    if expected != 200:
        assert written() == before
        return
    made = ImportException.objects.get()
    assert (made.library, made.version, made.state, made.asked_by.username) == ("torch", "2.5.0", "open", who)
    event = orjson.loads(AuditEvent.objects.get(action="exception.asked").body)
    assert (event["chain"], event["data"]["library"]) == (f"environment:{place.target.pk}", "torch")


ODD: list[tuple[dict[str, str], str]] = [
    ({"library": "polars", "version": "1.0"}, "exception_not_needed"),  # it is only warned about
    ({"version": "2.6.1"}, "exception_not_needed"),
    ({"library": "numpy", "version": "2.4.6", "licence": "MIT"}, "exception_not_needed"),
    ({"version": ">=2,<3"}, "invalid"),
    ({"version": ""}, "invalid"),
    ({"library": "no such thing!"}, "invalid"),
    ({"reason": "   "}, "invalid"),
    ({"reason": "x" * 5001}, "invalid"),
    ({"version": "2.5.0+" + "x" * 120}, "invalid"),
]


@DOORS
@pytest.mark.parametrize(("change", "code"), ODD, ids=lambda one: str(one)[:40])
def test_only_what_is_prohibited_can_be_asked_for(place: Place, door: Door, change: dict[str, str], code: str) -> None:
    before = written()
    assert door("dana", "ask", {**ASKED, **change}) == 422
    with pytest.raises(Refused) as refusal:
        asked(**change)
    assert refusal.value.code == code
    assert refusal.value.fields
    assert written() == before


def test_a_licence_that_is_not_let_in_can_be_asked_for(place: Place) -> None:
    assert asked(library="numpy", version="2.4.6", licence="GPL-3.0-only").licence == "GPL-3.0-only"


@DOORS
@pytest.mark.parametrize("again", [ASKED, {**ASKED, "library": "TORCH", "version": "2.5"}])
def test_one_request_is_open_for_a_version(place: Place, door: Door, again: dict[str, str]) -> None:
    asked()
    before = written()
    assert door("iris", "ask", again) == 409
    assert written() == before
    assert door("iris", "ask", {**ASKED, "version": "2.4.1"}) == 200


def test_the_database_holds_one_open_request_too(place: Place) -> None:
    made = asked()
    with pytest.raises(IntegrityError, match="exception_one_open"), transaction.atomic():
        ImportException.objects.create(
            environment=place.target, library=made.library, version=made.version, reason="x", asked_by=place.iris
        )
    assert ImportException.objects.count() == 1


GRANT = {"answer": "granted", "until": "", "comment": "Only behind the firewall."}


def the_grant(days: int = 30) -> dict[str, Any]:
    return {**GRANT, "until": today(days)}


@DOORS
@pytest.mark.parametrize(("who", "expected"), [("otto", 200), ("iris", 403), ("dana", 403), ("mallory", 404)])
def test_it_operations_answer(place: Place, door: Door, who: str, expected: int) -> None:
    made, before = asked(), written()
    assert door(who, "answer", the_grant(), made) == expected
    if expected != 200:
        assert written() == before
        return
    made.refresh_from_db()
    assert (made.state, made.until, made.answered_by, made.comment) == (
        "granted", today(30), place.otto, "Only behind the firewall."
    )  # fmt: skip
    event = orjson.loads(AuditEvent.objects.get(action="exception.granted").body)
    assert (event["data"]["until"], event["reason"]) == (today(30).isoformat(), "Only behind the firewall.")
    kept = written()
    assert door("olga", "answer", {"answer": "refused", "comment": "No."}, made) == 409
    assert door("olga", "answer", the_grant(60), made) == 409
    assert door("dana", "withdraw", {}, made) == 409
    assert written() == kept


@DOORS
def test_nobody_answers_their_own_request(place: Place, door: Door) -> None:
    own = asked("otto")
    building._grant(EnvironmentUserGrant, place.robot, "it_operations", place.target)
    of_robot = asked("robot", version="2.4.0")  # otto answers for the robot
    before = written()
    for made in (own, of_robot):
        assert door("otto", "answer", the_grant(), made) == 403
        assert door("otto", "answer", {"answer": "refused", "comment": "No."}, made) == 403
    assert written() == before
    assert door("olga", "answer", the_grant(), own) == 200


def test_a_service_account_asks_and_never_answers(place: Place) -> None:
    building._grant(EnvironmentUserGrant, place.robot, "it_operations", place.target)
    made = asked()
    assert by_api("robot", "ask", {**ASKED, "version": "2.4.0"}) == 200
    before = written()
    for act, values in (("answer", {**the_grant()}), ("withdraw", {}), ("revoke", {"reason": "x"})):
        assert by_api("robot", act, values, made) == 403
    assert written() == before
    assert by_service("robot", "answer", the_grant(), made) == 403  # past the doors
    assert written() == before


@DOORS
@pytest.mark.parametrize(
    "values",
    [
        {"answer": "granted"},
        {"answer": "granted", "until": -1},
        {"answer": "granted", "until": 367},
        {"answer": "refused", "comment": ""},
        {"answer": "refused", "comment": "No.", "until": 3},
        {"answer": "withdrawn", "comment": "By the back door."},
        {"answer": "granted", "until": 3, "comment": "x" * 5001},
    ],
)
def test_an_exception_has_an_end_and_a_refusal_a_reason(place: Place, door: Door, values: dict[str, Any]) -> None:
    made, before = asked(), written()
    if "until" in values:
        values = {**values, "until": today(values["until"])}
    assert door("otto", "answer", values, made) == 422
    assert written() == before


@DOORS
def test_who_asked_withdraws(place: Place, door: Door) -> None:
    made, before = asked(), written()
    assert door("iris", "withdraw", {}, made) == 403
    assert door("otto", "withdraw", {}, made) == 403
    assert door("mallory", "withdraw", {}, made) == 404
    assert written() == before
    assert door("dana", "withdraw", {"reason": "We moved to 2.6."}, made) == 200
    made.refresh_from_db()
    assert (made.state, made.comment) == ("withdrawn", "We moved to 2.6.")
    assert door("otto", "answer", the_grant(), made) == 409
    assert door("dana", "ask", ASKED) == 200  # a correction is a new request


@DOORS
def test_it_operations_revoke(place: Place, door: Door) -> None:
    made = granted()
    before = written()
    assert door("dana", "revoke", {"reason": "x"}, made) == 403
    assert door("mallory", "revoke", {"reason": "x"}, made) == 404
    assert door("olga", "revoke", {"reason": " "}, made) == 422
    assert written() == before
    assert door("olga", "revoke", {"reason": "A hole was found."}, made) == 200
    made.refresh_from_db()
    assert (made.state, made.answer, made.revocation) == ("revoked", "granted", "A hole was found.")
    kept = written()
    assert door("olga", "revoke", {"reason": "Again."}, made) == 409
    assert written() == kept


@DOORS
@pytest.mark.parametrize("act", ["answer", "withdraw", "revoke"])
def test_an_exception_of_another_environment_is_not_found(place: Place, door: Door, act: str) -> None:
    elsewhere = Environment.objects.get(slug="workbench")
    made = ImportException.objects.create(
        environment=elsewhere, library="torch", version="2.5.0", reason="x", asked_by=place.dana
    )
    values = {"answer": the_grant(), "withdraw": {}, "revoke": {"reason": "x"}}[act]
    before = written()
    assert door("dana" if act == "withdraw" else "otto", act, values, made) == 404
    assert written() == before


def test_an_answer_is_kept_by_the_database(place: Place) -> None:
    made = granted()
    mine = ImportException.objects.filter(pk=made.pk)
    for change in ({"until": today(200)}, {"answer": "refused"}, {"version": "2.4.0"}, {"answer": "", "until": None}):
        with pytest.raises(DatabaseError), transaction.atomic():
            mine.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        mine.delete()
    import_exceptions.revoke(actor=by("olga"), environment="production", exception_id=made.pk, reason="A hole.")
    with pytest.raises(DatabaseError), transaction.atomic():
        mine.update(revoked_by=None, revoked_at=None, revocation="")
    made.refresh_from_db()
    assert (made.until, made.state) == (today(30), "revoked")


@pytest.mark.parametrize("who", ["dana", "robot"])
def test_the_database_wants_two_people(place: Place, who: str) -> None:
    made = asked()
    values = {"answer": "granted", "answered_by": place.people[who], "answered_at": timezone.now(), "until": today(3)}
    with pytest.raises(IntegrityError, match="a person other than the one who asked"), transaction.atomic():
        ImportException.objects.filter(pk=made.pk).update(**values)
    made.refresh_from_db()
    assert made.state == "open"


def test_it_ends_by_itself_with_its_last_day(place: Place) -> None:
    made = granted(today())
    assert made.state_on(today()) == "granted"
    assert made.state_on(today(1)) == "ended"
    assert queries.exceptions_in([place.target])[place.target.pk].until("torch", "2.5.0") == today().isoformat()


def ended(place: Place) -> ImportException:
    """Return an exception whose last day was yesterday."""
    now = timezone.now() - timedelta(days=3)
    return ImportException.objects.create(
        environment=place.target, library="torch", version="2.5.0", reason="x", asked_by=place.dana, answer="granted",
        answered_by=place.otto, answered_at=now, until=today(-1),
    )  # fmt: skip


def test_what_has_ended_lets_nothing_in_and_is_not_revoked(place: Place) -> None:
    made = ended(place)
    before = written()
    assert queries.exceptions_in([place.target])[place.target.pk] == Exceptions()
    assert by_service("olga", "revoke", {"reason": "x"}, made) == 409
    assert written() == before
    assert by_service("dana", "ask", ASKED) == 200


def listed(who: str, query: str = "") -> Any:
    client = APIClient()
    client.force_authenticate(Account.objects.get(username=who))
    return client.get(f"{V1}{query}")


def test_the_api_lists_them_by_state_and_library(place: Place) -> None:
    ended(place)
    granted()
    asked(version="2.4.0")
    asked(library="numpy", version="1.26", licence="GPL-3.0-only")
    assert [one["state"] for one in listed("dana").json()["results"]] == ["open", "open", "granted", "ended"]
    for query, count in (("?state=open", 2), ("?state=ended", 1), ("?library=NumPy", 1), ("?state=refused", 0)):
        assert len(listed("otto", query).json()["results"]) == count
    assert listed("otto", "?state=lost").json()["code"] == "invalid"
    assert listed("otto", "?colour=red").status_code == 400
    assert listed("mallory").status_code == 404
    one = listed("dana").json()["results"][2]
    assert listed("dana", f"{one['id']}/").json() == one
    assert (one["environment"], one["answered_by"], one["until"]) == ("production", "otto", today(30).isoformat())


def test_a_request_sent_twice_under_one_key_is_one(place: Place) -> None:
    client = APIClient(headers={"Idempotency-Key": "one"})
    client.force_authenticate(place.dana)
    first, second = (client.post(V1, ASKED, format="json") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert ImportException.objects.count() == 1


def verdicts(place: Place) -> dict[str, Any]:
    """Return what production says to torch in a profile that dana reports of her workbench."""
    client = APIClient()
    client.force_authenticate(place.dana)
    profile = a_profile(packages={"torch": "2.5.0"}, licences={})
    told = client.post("/api/v1/environments/workbench/profiles/", profile, format="json").json()["verdicts"]
    found: dict[str, Any] = next(one for one in told if one["environment"] == "production")
    return {name: found[name] for name in ("answer", "let_in_until", "asked_for")}


def test_a_capture_is_told_what_is_let_in_and_what_is_asked_for(place: Place) -> None:
    Environment.objects.filter(slug="workbench").update(import_policy={"default": "allow"})
    assert verdicts(place) == {"answer": "prohibit", "let_in_until": "", "asked_for": False}
    made = asked()
    assert verdicts(place) == {"answer": "prohibit", "let_in_until": "", "asked_for": True}
    import_exceptions.answer(actor=by("otto"), environment="production", exception_id=made.pk, **the_grant())
    assert verdicts(place) == {"answer": "prohibit", "let_in_until": today(30).isoformat(), "asked_for": False}
    import_exceptions.revoke(actor=by("olga"), environment="production", exception_id=made.pk, reason="A hole.")
    assert verdicts(place) == {"answer": "prohibit", "let_in_until": "", "asked_for": False}


# What the acts keep, return and tell


def told(action: str) -> tuple[str, int, str, str, Any]:
    """Return the chain, the actor, the subject, the reason and the data of the only act of its kind."""
    body = orjson.loads(AuditEvent.objects.get(action=action).body)
    return body["chain"], body["actor"]["id"], body["subject"], body["reason"], body["data"]


def about(place: Place, made: ImportException, who: str, reason: str = "", **more: Any) -> tuple[Any, ...]:
    """Return what the trail has to tell of an exception in production."""
    data = {"exception": str(made.pk), "library": made.library, "version": made.version, **more}
    return (
        f"environment:{place.target.pk}", place.people[who].pk, f"importexception:{made.pk}", reason, data
    )  # fmt: skip


def refused(act: Callable[[], object]) -> Refused:
    """Expect a refusal that changes nothing."""
    before = written()
    with pytest.raises(Refused) as refusal:
        act()
    assert written() == before
    return refusal.value


def on(made: ImportException, who: str, act: str, **values: Any) -> ImportException:
    """Act on an exception in production."""
    found: ImportException = getattr(import_exceptions, act)(
        actor=by(who), environment="production", exception_id=made.pk, **values
    )
    return found


def test_what_is_asked_for_is_kept_without_blanks_and_told_whole(place: Place) -> None:
    words = {
        "library": " Numpy ",
        "version": " 2.04.0 ",
        "licence": " GPL-3.0-only ",
        "reason": " It. ",
        "measure": " M ",
    }
    made = import_exceptions.ask(actor=by("dana"), environment="production", **words)
    whole = {"library": "numpy", "version": "2.4.0", "licence": "GPL-3.0-only", "reason": "It.", "measure": "M"}
    assert ImportException.objects.filter(pk=made.pk).values(*whole).get() == whole
    assert (made.environment, made.asked_by, made.state) == (place.target, place.dana, "open")
    chain, who, _, reason, data = told("exception.asked")
    assert (chain, who, reason) == (f"environment:{place.target.pk}", place.dana.pk, "")
    assert data == {"exception": str(made.pk), **whole}


LENGTHS = [("library", 200), ("version", 100), ("licence", 200), ("reason", 5000), ("measure", 5000)]


@pytest.mark.parametrize(("name", "longest"), LENGTHS)
def test_each_text_has_a_length(place: Place, name: str, longest: int) -> None:
    Environment.objects.filter(slug="production").update(import_policy={"default": "prohibit"})
    start = "1+" if name == "version" else ""
    just = start + "x" * (longest - len(start))
    found = refused(lambda: asked(**{name: just + "x"}))
    assert found.fields == {name: f"is longer than {longest} characters"}
    assert getattr(asked(**{name: just}), name) == just


def test_why_something_need_not_be_asked_for_is_told(place: Place) -> None:
    assert "it warns about it, and lets it in." in refused(lambda: asked(library="polars", version="1.0")).message
    assert "it lets it in." in refused(lambda: asked(version="2.6.1")).message


def test_one_version_of_a_library_in_one_environment_is_open_at_a_time(place: Place) -> None:
    prohibits = {"default": "prohibit"}
    Environment.objects.update(import_policy=prohibits)
    first = asked()
    import_exceptions.ask(actor=by("dana"), environment="workbench", **ASKED)
    asked(library="torchvision")
    asked(version="2.5.1")
    found = refused(lambda: asked("iris", version="2.5"))
    assert (found.code, found.message) == (
        "exception_open", "Somebody asks to let torch 2.5 into Production already."
    )  # fmt: skip
    on(first, "otto", "answer", answer="refused", comment="No.")
    assert asked("iris").state == "open"


@pytest.mark.parametrize(("days", "why"), [(-1, "is past"), (0, ""), (366, ""), (367, "late"), (None, "none")])
def test_an_exception_lasts_until_a_day_within_a_year(place: Place, days: int | None, why: str) -> None:
    made = asked()
    other = asked(version="2.4.0")
    until = None if days is None else today(days)
    if not why:
        answered = on(made, "otto", "answer", answer="granted", until=until, comment=" Behind a wall. ")
        assert (answered.pk, answered.until, answered.comment) == (made.pk, until, "Behind a wall.")
        assert until is not None
        assert told("exception.granted") == about(
            place, made, "otto", "Behind a wall.", until=until.isoformat()
        )  # fmt: skip
        assert ImportException.objects.get(pk=other.pk).state == "open"
        return
    words = {"late": f"must be {today(366).isoformat()} at the latest", "none": "is missing; an exception has an end"}
    found = refused(lambda: on(made, "otto", "answer", answer="granted", until=until))
    assert found.fields == {"until": words.get(why, why)}


def test_a_refusal_says_why_and_is_told(place: Place) -> None:
    made = asked()
    for values, field in (
        ({"answer": "refused", "comment": " "}, "comment"),
        ({"answer": "refused", "comment": "No.", "until": today(3)}, "until"),
        ({"answer": "refused", "comment": "x" * 5001}, "comment"),
        ({"answer": "perhaps", "comment": "No."}, "answer"),
        ({"answer": "withdrawn", "comment": "No."}, "answer"),
    ):
        assert list(refused(lambda values=values: on(made, "otto", "answer", **values)).fields) == [field]
    answered = on(made, "otto", "answer", answer="refused", comment=" No. ")
    assert (answered.state, answered.comment, answered.until, answered.answered_by) == (
        "refused", "No.", None, place.otto
    )  # fmt: skip
    assert told("exception.refused") == about(place, made, "otto", "No.")


def test_what_is_taken_back_is_told_and_nothing_else_is(place: Place) -> None:
    made, other = asked(), asked(version="2.4.0")
    assert refused(lambda: on(made, "iris", "withdraw")).todo == "Dana asked."
    assert list(refused(lambda: on(made, "dana", "withdraw", reason="x" * 5001)).fields) == ["reason"]
    back = on(made, "dana", "withdraw", reason=" We moved on. ")
    assert (back.pk, back.state, back.comment, back.answered_by) == (made.pk, "withdrawn", "We moved on.", place.dana)
    assert told("exception.withdrawn") == about(place, made, "dana", "We moved on.")
    assert ImportException.objects.get(pk=other.pk).state == "open"
    assert refused(lambda: on(made, "dana", "withdraw")).code == "exception_over"


def test_a_robot_takes_nothing_back_and_who_answers_for_it_does(place: Place) -> None:
    building._grant(EnvironmentUserGrant, place.robot, "it_operations", place.target)
    of_robot = asked("robot")
    given = granted(version="2.4.0")
    assert refused(lambda: on(of_robot, "robot", "withdraw")).code == "person_required"
    assert refused(lambda: on(given, "robot", "revoke", reason="x")).code == "person_required"
    assert on(of_robot, "otto", "withdraw").state == "withdrawn"


def test_only_what_is_granted_is_revoked_and_told(place: Place) -> None:
    open_, no, back = asked(version="2.4.0"), asked(version="2.4.1"), asked(version="2.4.2")
    on(no, "otto", "answer", answer="refused", comment="No.")
    on(back, "dana", "withdraw")
    for made, state in ((open_, "open"), (no, "refused"), (back, "withdrawn"), (ended(place), "ended")):
        found = refused(lambda made=made: on(made, "olga", "revoke", reason="x"))
        assert (found.code, found.message) == (
            "exception_over", f"An exception that is {state} cannot be revoked."
        )  # fmt: skip
    other, made = granted(version="2.3.0"), granted()
    for reason in (" ", "x" * 5001):
        assert list(refused(lambda reason=reason: on(made, "olga", "revoke", reason=reason)).fields) == ["reason"]
    gone = on(made, "olga", "revoke", reason=" A hole. ")
    made.refresh_from_db()
    for one in (gone, made):
        assert (one.pk, one.state, one.revoked_by, one.revocation) == (made.pk, "revoked", place.olga, "A hole.")
    assert told("exception.revoked") == about(place, made, "olga", "A hole.")
    assert ImportException.objects.get(pk=other.pk).state == "granted"


def test_an_answer_comes_back_with_its_environment(place: Place, django_assert_num_queries: Any) -> None:
    found = granted()
    with django_assert_num_queries(0):
        assert found.environment.name == "Production"


def test_an_exception_that_is_not_there_is_not_found(place: Place) -> None:
    asked()
    nobody = ImportException(pk=uuid4())
    for who, act, values in (
        ("otto", "answer", the_grant()), ("dana", "withdraw", {}), ("otto", "revoke", {"reason": "x"})
    ):  # fmt: skip
        found = refused(lambda who=who, act=act, values=values: on(nobody, who, act, **values))
        assert (found.code, found.message) == ("not_found", "Production has no such exception.")


# What an exception lets in


def a_verdict(wanted: str = ">=2.4,<2.6", installed: str = "2.5.0", answer: str = "prohibit") -> AskedVerdict:
    return AskedVerdict("torch", wanted, installed, answer, "Because.", "2.6.0")


DAY, LATER = date(2027, 1, 31), date(2027, 3, 31)
INSIDE: list[tuple[AskedVerdict, list[tuple[str, str, date | None]], tuple[str, str, bool]]] = [
    (a_verdict(), [("torch", "2.5.0", DAY)], ("2.5.0", "2027-01-31", False)),
    (a_verdict(), [("torch", "2.5", DAY)], ("2.5", "2027-01-31", False)),
    (a_verdict(), [("torch", "2.5.1", DAY)], ("2.5.1", "2027-01-31", False)),
    (a_verdict(), [("torch", "2.5.0", DAY), ("torch", "2.5.1", LATER)], ("2.5.0", "2027-01-31", False)),
    (a_verdict(), [("torch", "2.5.0", DAY), ("torch", "2.5.0", LATER)], ("2.5.0", "2027-03-31", False)),
    (a_verdict(), [("torch", "2.6.0", DAY)], ("", "", False)),
    (a_verdict(), [("torchvision", "2.5.0", DAY)], ("", "", False)),
    (a_verdict(answer="warn"), [("torch", "2.5.0", DAY)], ("", "", False)),
    (a_verdict(), [("torch", "2.5.0", None)], ("2.5.0", "", True)),
    (a_verdict(), [("torch", "2.5.0", None), ("torch", "2.5.1", DAY)], ("2.5.1", "2027-01-31", False)),
    (a_verdict("newest"), [("torch", "2.5.0", DAY)], ("", "", False)),
]


@pytest.mark.parametrize(("verdict", "rows", "expected"), INSIDE)
def test_only_the_very_version_is_let_in(verdict: AskedVerdict, rows: Any, expected: tuple[str, str, bool]) -> None:
    (found,) = with_exceptions([verdict], exceptions_of(rows))
    assert (found.excepted, found.let_in_until, found.asked_for) == expected


@pytest.mark.parametrize(
    ("wanted", "installed", "version"),
    [
        (">=2.4,<2.6", "2.5.0", "2.5.0"),
        ("==2.3.0", "2.5.0", "2.3.0"),
        ("==2.3.*", "", ""),
        (">=2.4", "", ""),
        ("newest", "2.5.0", ""),
    ],
)
def test_the_form_names_the_version_that_would_be_asked_for(wanted: str, installed: str, version: str) -> None:
    assert a_verdict(wanted, installed).to_ask_for == version
