"""Owners of consumers: who is asked when a version's outputs change, who signs for whom, and what voids that."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.conf import settings as site
from django.db import IntegrityError, transaction
from django.db.utils import DatabaseError
from django.urls import reverse
from rest_framework.test import APIClient

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff import queue
from handoff.asked import questions_of
from handoff.errors import NotReady
from handoff.facts import known_of, rules_of
from handoff.models import AskedConsumer, Decision, Deployment, Handoff, Job, SignOff
from handoff.queries.signing import sheet_for
from handoff.rules.consumers import role_of
from handoff.rules.gates import evaluate
from handoff.rules.scopes import REVIEW
from handoff.services import deployments, handoffs, jobs, signoffs
from handoff.states import State
from models_registry.models import Consumer, Stream
from models_registry.services import consumers
from tests.handoff import amending, building, walking
from tests.handoff.amending import BINDINGS, BOARD, live, proof, streamed
from tests.handoff.building import Place

pytestmark = pytest.mark.django_db
LABEL = {"name": "label", "type": "long", "allowed": [0, 1]}
PAIR = {
    "name": "probabilities",
    "type": {"type": "array", "items": "double"},
    "size": 2,
    "minimum": 0,
    "maximum": 1,
}
WIDER = [{**LABEL, "allowed": [0, 1, 2]}, PAIR]  # concerns whoever uses the label
FINER = [LABEL, {**PAIR, "maximum": 0.9}]  # concerns whoever uses the probabilities
REPORT = {**BOARD, "name": "Week in figures", "kind": "report"}
COUNT = {**BOARD, "name": "Count", "kind": "application", "fields": ["probabilities"]}


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a place whose sink feeds the board of carla, the report of olga, and a count of carla's."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    place = streamed(building.a_place())
    place.people |= {name: building.person(name) for name in ("carla", "olga", "nick")}
    for name in ("carla", "olga", "nick"):
        place.people[name].password = walking._hashed(site.PASSWORD_HASHERS[0])
        place.people[name].save(update_fields=["password"])
    given_to(place, "carla")
    for told, owner in ((REPORT, "olga"), (COUNT, "carla")):
        consumers.add(**feeds(place), **{**told, "owner": owner})
    return place


@pytest.fixture
def deployment(place: Place) -> Deployment:
    """Return what is live and feeds them."""
    return live(place)


@pytest.fixture
def handoff(place: Place, deployment: Deployment) -> Handoff:
    """Return the offer of a version whose label takes a third value."""
    return offered(place, WIDER)


def feeds(place: Place) -> dict[str, Any]:
    return {"actor": Person(place.iris, "test"), "environment": "production", "stream": "scores"}


def given_to(place: Place, owner: str, name: str = "Ward board") -> None:
    """Give a consumer another owner, while nothing live feeds it."""
    found = Consumer.objects.get(name=name)
    consumers.change(**feeds(place), consumer_id=str(found.pk), owner=owner)


def drafted(place: Place, outputs: Any, number: int = 2, bindings: Any = None) -> Handoff:
    version = building.a_version(place, number, outputs=outputs)
    return walking.drafted(place, version, bindings=bindings or BINDINGS)


def offered(place: Place, outputs: Any, number: int = 2) -> Handoff:
    """Offer a version with other outputs, as dana does."""
    return handoffs.offer(actor=Person(place.dana, "test"), handoff_id=str(drafted(place, outputs, number).pk))


def amend(place: Place, deployment: Deployment, act: str, called: str = "", **values: Any) -> None:
    """Change what the live version feeds, as the integration owner signs it and a worker applies it."""
    row = {"act": act, "stream": "scores", "values": values} | ({"consumer": called} if act != "add" else {})
    amendment = amending.proposed(deployment, place.iris, consumers=[row])
    amending.sign(amendment, place.iris)
    assert amending.work(amendment).state == "applied"


def body_for(handoff: Handoff, who: Account, key: str, decision: str = "approve", **more: Any) -> dict[str, Any]:
    """Return what somebody sends who decides on what is there now."""
    sheet = sheet_for(who, handoff.pk, key)
    return {"requirement": key, "decision": decision, "meaning": sheet.rule.meaning, "seen": sheet.seen, **more}


def sign(handoff: Handoff, who: Account, key: str = "", decision: str = "approve", **more: Any) -> SignOff:
    """Sign as the owner of consumers, or for another requirement."""
    told = body_for(handoff, who, key or role_of(who.pk), decision, **more)
    proved = {"reauthentication": proof(who)}
    done = signoffs.sign(actor=Person(who, "test"), handoff_id=str(handoff.pk), **told, **proved)
    handoff.refresh_from_db()
    return done


def all_sign(place: Place, handoff: Handoff, who: Iterable[str] = ("carla", "olga")) -> None:
    """Let owners sign, and vera at the end."""
    for name in who:
        sign(handoff, place.people[name])
    sign(handoff, place.vera, "validation")


def asked(handoff: Handoff) -> dict[str, list[tuple[str, str]]]:
    """Return who is asked about what, as the gate is judged now: the owner's name, and each field with its kind."""
    facts = known_of(handoff).facts
    return {one.name: [(c["field"], c["kind"]) for c in one.covered[-1]] for one in facts.consumers}


def missing(handoff: Handoff) -> dict[str, str]:
    """Return which sign-offs the review gate waits for, and why."""
    result = evaluate("review", rules_of(handoff), known_of(handoff).facts)
    return {one.key: one.why for one in result.missing if one.kind == "signoff"}


def counts() -> tuple[int, ...]:
    """Return how many rows there are of all that signing writes, but for sign-ins."""
    events = AuditEvent.objects.exclude(chain__startswith="account:").exclude(chain="sign-ins").count()
    tables = (SignOff, AskedConsumer, Job, Decision)
    return (events, SignOff.objects.filter(voided_at=None).count(), *(one.objects.count() for one in tables))


# Who is asked


def test_who_reads_dead_letters_is_not_asked(place: Place) -> None:
    """A dead letter has the same fields whatever the outputs are, and its sink is none of theirs."""
    bindings = {**BINDINGS, "letters": {"stream": "archive"}}
    consumers.add(**{**feeds(place), "stream": "archive"}, **{**REPORT, "name": "Rejects", "owner": "olga"})
    live(place, bindings=bindings)
    found = questions_of(drafted(place, WIDER, bindings=bindings))
    assert [one.consumer.name for one in found] == ["Ward board", "Week in figures"]


def test_the_owners_of_consumers_that_the_outputs_change_for_are_asked(place: Place, handoff: Handoff) -> None:
    assert asked(handoff) == {"Ward board": [("label", "widening")], "Week in figures": [("label", "widening")]}
    carla, olga = (role_of(place.people[name].pk) for name in ("carla", "olga"))
    assert set(missing(handoff)) == {"validation", carla, olga}
    row = AskedConsumer.objects.get(consumer__name="Ward board")
    assert (row.number, row.owner, row.fields, row.compatibility) == (1, place.carla, ["label"], "widening")
    assert row.live.number == 1
    assert "2 may come now" in row.changes[0]["reason"]
    events = AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action="consumer.asked")
    assert events.count() == 2


def test_where_the_outputs_are_the_same_nobody_is_asked_and_signatures_say_what_they_said(
    place: Place, deployment: Deployment
) -> None:
    handoff = offered(place, None)
    assert not AskedConsumer.objects.exists()
    assert set(missing(handoff)) == {"validation"}
    signed = sign(handoff, place.vera, "validation")
    assert set(signed.scope) == set(REVIEW)
    assert handoff.state == State.TESTING


def test_where_only_names_and_words_differ_nobody_is_asked(place: Place, deployment: Deployment) -> None:
    handoff = offered(place, [{**LABEL, "doc": "Malignant or not."}, PAIR])
    assert not AskedConsumer.objects.exists()
    assert set(missing(handoff)) == {"validation"}


def test_where_nothing_is_live_nobody_is_asked(place: Place) -> None:
    building.a_policy(("integrity",))
    assert set(missing(offered(place, WIDER))) == {"validation"}
    assert not AskedConsumer.objects.exists()


CASES: list[tuple[str, list[dict[str, Any]], dict[str, list[tuple[str, str]]]]] = [
    (
        "narrowed",
        FINER,
        {"Count": [("probabilities", "narrowing")], "Week in figures": [("probabilities", "narrowing")]},
    ),
    ("gone", [PAIR], {"Ward board": [("label", "breaking")], "Week in figures": [("label", "breaking")]}),
    (
        "renamed",
        [{**LABEL, "name": "class"}, PAIR],
        {"Ward board": [("label", "breaking")], "Week in figures": [("label", "breaking")]},
    ),
    (
        "retyped",
        [{"name": "label", "type": "string"}, PAIR],
        {"Ward board": [("label", "breaking")], "Week in figures": [("label", "breaking")]},
    ),
    ("new", [LABEL, PAIR, {"name": "why", "type": "string"}], {"Week in figures": [("why", "breaking")]}),
    (
        "another unit",
        [{**LABEL, "unit": "stage"}, {**PAIR, "maximum": 1}],
        {},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("_case", "outputs", "expected"), CASES, ids=[one[0] for one in CASES])
def test_a_field_concerns_who_uses_it_and_who_names_none_uses_all(
    place: Place, deployment: Deployment, _case: str, outputs: Any, expected: Any
) -> None:
    assert asked(offered(place, outputs)) == expected


def test_a_field_that_the_sink_would_carry_no_more_concerns_who_uses_it(place: Place, deployment: Deployment) -> None:
    less = {**BINDINGS, "outputs": [{"stream": "scores", "fields": ["probabilities"]}]}
    found = {one.consumer.name: one for one in questions_of(drafted(place, WIDER, bindings=less))}
    assert set(found) == {"Ward board", "Week in figures"}
    assert [(one["kind"], one["reason"]) for one in found["Ward board"].changes][1:] == [
        ("breaking", "scores would not carry it any more.")
    ]
    elsewhere = {**BINDINGS, "outputs": [{"stream": "archive"}]}
    draft = drafted(place, FINER, 3, bindings=elsewhere)
    found = {one.consumer.name: one for one in questions_of(draft)}
    assert set(found) == {"Ward board", "Week in figures", "Count"}
    assert found["Ward board"].changes == [
        {"field": "label", "kind": "breaking", "reason": "The version would not write into scores any more."}
    ]


# What stands in the way of an offer


def refused(place: Place, outputs: Any = None) -> NotReady:
    """Offer what cannot be offered, and return the refusal."""
    draft = drafted(place, outputs or WIDER)
    before = counts()
    with pytest.raises(NotReady) as refusal:
        handoffs.offer(actor=Person(place.dana, "test"), handoff_id=str(draft.pk))
    draft.refresh_from_db()
    assert (counts(), draft.state) == (before, State.DRAFT)
    return refusal.value


def test_an_owner_whose_account_is_closed_is_replaced_before_the_offer(place: Place, deployment: Deployment) -> None:
    Account.objects.filter(pk=place.olga.pk).update(is_active=False)
    refusal = refused(place)
    assert set(refusal.fields) == {"consumers.scores.Week in figures"}
    assert "Olga, who answers for it, has an account that is closed" in refusal.message
    assert "names another owner by an amendment" in refusal.message
    amend(place, deployment, "change", "Week in figures", owner="nick")
    again = handoffs.offer(actor=Person(place.dana, "test"), handoff_id=str(Handoff.objects.get(state="draft").pk))
    assert role_of(place.nick.pk) in missing(again)


def test_an_owner_who_built_the_version_cannot_agree_to_it(place: Place) -> None:
    given_to(place, "dana")
    live(place)
    refusal = refused(place)
    assert set(refusal.fields) == {"consumers.scores.Ward board"}
    assert "Dana, who answers for it, created this version" in refusal.message


def test_an_owner_whom_another_role_needs_is_told_at_the_offer(place: Place) -> None:
    given_to(place, "otto")
    live(place)
    refusal = refused(place)
    assert set(refusal.fields) == {"roles.it_operations"}
    assert "a conflict of duties bars Otto (who must sign as the owner of a consumer)" in refusal.message


# Signing


def by_service(handoff: Handoff, who: Account, **body: Any) -> int:
    try:
        signoffs.sign(actor=Person(who, "test"), handoff_id=str(handoff.pk), reauthentication=proof(who), **body)
    except Refused as refusal:
        return refusal.status
    return 200


def by_api(handoff: Handoff, who: Account, **body: Any) -> int:
    client = APIClient()
    client.force_authenticate(who)
    url = reverse("api:handoff-signoffs", args=[handoff.pk])
    status = client.post(url, {**body, "reauthentication": proof(who)}, format="json").status_code
    return 200 if status == 201 else int(status)


def by_page(handoff: Handoff, who: Account, **body: Any) -> int:
    url = reverse("handoff-sign", args=[handoff.pk, body.pop("requirement")])
    status = walking.client_of(who).post(url, {**body, "password": walking.PASSWORD}).status_code
    return 200 if status == 303 else int(status)


DOORS = pytest.mark.parametrize("door", [by_service, by_api, by_page])


@DOORS
def test_an_owner_signs_for_their_own_and_the_gate_waits_for_each(
    place: Place, handoff: Handoff, door: Callable[..., int]
) -> None:
    key = role_of(place.carla.pk)
    sign(handoff, place.vera, "validation")
    assert door(handoff, place.carla, **body_for(handoff, place.carla, key)) == 200
    signed = SignOff.objects.get(signer=place.carla)
    assert (signed.role, signed.requirement, signed.meaning) == (key, key, "approval")
    assert set(signed.scope) == {*REVIEW, key}
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW
    assert set(missing(handoff)) == {role_of(place.olga.pk)}
    sign(handoff, place.olga)
    assert handoff.state == State.TESTING
    assert [job.purpose for job in handoff.jobs.all()] == ["test:integrity"]


@DOORS
@pytest.mark.parametrize(
    ("who", "status"),
    [("olga", 403), ("iris", 403), ("vera", 403), ("dana", 403), ("otto", 403), ("mallory", 404), ("nick", 404)],
)
def test_nobody_signs_in_the_stead_of_an_owner(
    place: Place, handoff: Handoff, door: Callable[..., int], who: str, status: int
) -> None:
    body = body_for(handoff, place.carla, role_of(place.carla.pk))
    before = counts()
    assert door(handoff, place.people[who], **body) == status
    assert counts() == before
    assert role_of(place.carla.pk) in missing(handoff)


@DOORS
def test_an_owner_who_was_shown_something_else_signs_nothing(
    place: Place, deployment: Deployment, handoff: Handoff, door: Callable[..., int]
) -> None:
    body = body_for(handoff, place.carla, role_of(place.carla.pk))
    amend(place, deployment, "change", "Ward board", fields=["label", "probabilities"], purpose="More.")
    amend(place, deployment, "change", "Count", fields=["label"])
    before = counts()
    assert door(handoff, place.carla, **body) == 409
    assert counts() == before


def test_an_owner_who_asks_for_changes_keeps_the_gate_shut_and_one_who_refuses_returns_it(
    place: Place, handoff: Handoff
) -> None:
    all_sign(place, handoff, ["olga"])
    sign(handoff, place.carla, decision="changes", comment="The board knows two colours.")
    assert (handoff.state, missing(handoff)[role_of(place.carla.pk)]) == (
        State.IN_REVIEW,
        "Owner of a consumer asks for changes",
    )
    sign(handoff, place.carla, decision="refuse", comment="It cannot.", reasons=["contract_breach"])
    assert handoff.state == State.RETURNED


def test_an_owner_of_several_consumers_signs_once(place: Place, deployment: Deployment) -> None:
    handoff = offered(place, [{**LABEL, "allowed": [0, 1, 2]}, {**PAIR, "maximum": 0.9}])
    assert set(asked(handoff)) == {"Ward board", "Count", "Week in figures"}
    assert set(missing(handoff)) == {"validation", role_of(place.carla.pk), role_of(place.olga.pk)}
    all_sign(place, handoff)
    assert handoff.state == State.TESTING


# What changes afterwards


def test_a_new_owner_is_asked_and_what_the_old_one_signed_does_not_count(
    place: Place, deployment: Deployment, handoff: Handoff
) -> None:
    sign(handoff, place.vera, "validation")
    old = sign(handoff, place.carla)
    amend(place, deployment, "change", "Ward board", owner="nick")
    old.refresh_from_db()
    assert old.voided_as == "changed"
    assert "the consumers that the owner answers for changed" in old.voided_because
    assert handoff.signoffs.get(signer=place.vera).voided_at is None
    assert set(missing(handoff)) == {role_of(place.nick.pk), role_of(place.olga.pk)}
    sign(handoff, place.olga)
    sign(handoff, place.nick)
    assert handoff.state == State.TESTING


def test_an_owner_whose_account_closes_blocks_and_the_gate_says_what_to_do(
    place: Place, deployment: Deployment, handoff: Handoff
) -> None:
    all_sign(place, handoff, ["carla"])
    Account.objects.filter(pk=place.olga.pk).update(is_active=False)
    why = missing(handoff)[role_of(place.olga.pk)]
    assert "the owner has an account that is closed; name another owner of Week in figures by an amendment" in why
    assert handoff.state == State.IN_REVIEW
    amend(place, deployment, "change", "Week in figures", owner="nick")
    sign(handoff, place.nick)
    assert handoff.state == State.TESTING


def test_what_comes_to_use_the_field_is_asked_and_what_is_retired_is_not(
    place: Place, deployment: Deployment, handoff: Handoff
) -> None:
    night = {**BOARD, "name": "Night board", "owner": "nick", "fields": ["label"]}
    amend(place, deployment, "add", **night)
    amend(place, deployment, "retire", "Week in figures")
    assert set(asked(handoff)) == {"Ward board", "Night board"}
    assert set(missing(handoff)) == {"validation", role_of(place.carla.pk), role_of(place.nick.pk)}
    all_sign(place, handoff, ["carla", "nick"])
    assert handoff.state == State.TESTING


def test_another_question_voids_the_signature_of_its_owner_and_no_other(
    place: Place, deployment: Deployment, handoff: Handoff
) -> None:
    signed = {name: sign(handoff, place.people[name]) for name in ("carla", "olga")}
    amend(place, deployment, "change", "Count", fields=["label"])
    for one in signed.values():
        one.refresh_from_db()
    assert (signed["carla"].voided_as, signed["olga"].voided_at) == ("changed", None)
    assert AskedConsumer.objects.filter(handoff=handoff, consumer__name="Count").count() == 1
    again = sheet_for(place.carla, handoff.pk, role_of(place.carla.pk))
    assert again.changed == (role_of(place.carla.pk),)


def test_who_uses_the_field_no_more_is_asked_no_more(place: Place, deployment: Deployment, handoff: Handoff) -> None:
    amend(place, deployment, "change", "Ward board", fields=["probabilities"])
    assert set(asked(handoff)) == {"Week in figures"}
    rows = AskedConsumer.objects.filter(consumer__name="Ward board").order_by("number")
    assert [(one.compatibility, bool(one.changes)) for one in rows] == [("widening", True), ("identical", False)]
    assert AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action="consumer.not_asked").count() == 1


def test_a_version_that_goes_live_in_between_is_what_the_others_are_compared_with(
    place: Place, deployment: Deployment
) -> None:
    same = offered(place, None, 3)
    assert not asked(same)
    gone_live(place, offered(place, WIDER))
    assert asked(same) == {"Ward board": [("label", "narrowing")], "Week in figures": [("label", "narrowing")]}


def gone_live(place: Place, handoff: Handoff) -> Deployment:
    """Walk an offer up to where it is live."""
    all_sign(place, handoff)
    building.open_release(place, building.tested(handoff))
    job = jobs.claim(handoff.jobs.get(task=queue.DEPLOY).pk, "worker", task=queue.DEPLOY)
    assert job is not None
    assert deployments.begin(job.pk, job.fence) is not None
    done = amending.DeployReport(True, "it is live", ())
    return deployments.finish(job.pk, job.fence, done, actor=amending.Worker("worker"))


def test_the_worker_refuses_the_release_once_an_owner_has_taken_their_agreement_back(
    place: Place, handoff: Handoff
) -> None:
    all_sign(place, handoff)
    building.open_release(place, building.tested(handoff))
    given = SignOff.objects.get(signer=place.carla)
    actor = Person(place.carla, "test")
    signoffs.revoke(actor=actor, handoff_id=str(handoff.pk), signoff_id=str(given.pk), reason="The board broke.")
    assert refused_by_worker(handoff) == State.READY


def test_the_worker_asks_again_and_refuses_the_release_until_a_new_owner_has_agreed(
    place: Place, handoff: Handoff
) -> None:
    all_sign(place, handoff)
    building.open_release(place, building.tested(handoff))
    Consumer.objects.filter(name="Ward board").update(owner=place.nick)
    assert refused_by_worker(handoff) == State.READY
    assert SignOff.objects.get(signer=place.carla).voided_as == "changed"
    sign(handoff, place.nick)  # the release was signed, and still stands
    assert handoff.state == State.DEPLOYING
    assert handoff.signoffs.filter(voided_at=None, gate="release").count() == 1


def refused_by_worker(handoff: Handoff) -> str:
    """Let a worker take the order, which it refuses, and return the state of the handoff."""
    job = jobs.claim(handoff.jobs.get(task=queue.DEPLOY).pk, "worker", task=queue.DEPLOY)
    assert job is not None
    assert deployments.begin(job.pk, job.fence) is None
    job.refresh_from_db()
    assert job.state == "refused"
    assert "the release gate is shut: The review gate still stands" in job.error
    assert not Deployment.objects.filter(handoff=handoff).exists()
    handoff.refresh_from_db()
    return str(handoff.state)


# The database


def test_what_was_asked_is_never_changed_and_asked_once(place: Place, handoff: Handoff) -> None:
    row = AskedConsumer.objects.get(consumer__name="Ward board")
    same = {name: getattr(row, name) for name in ("handoff", "consumer", "owner", "live", "fields", "changes")}
    told = {**same, "compatibility": "widening"}
    elsewhere = Stream.objects.get(slug="scores")
    elsewhere.pk, elsewhere.environment = None, place.source
    elsewhere.save(force_insert=True)
    foreign = Consumer.objects.create(stream=elsewhere, **{**BOARD, "owner": place.carla})
    attacks: list[Callable[[], Any]] = [
        lambda: AskedConsumer.objects.filter(pk=row.pk).update(changes=[]),
        lambda: AskedConsumer.objects.filter(pk=row.pk).delete(),
        lambda: AskedConsumer.objects.create(number=1, **told),
        lambda: AskedConsumer.objects.create(number=2, **{**told, "compatibility": "identical"}),
        lambda: AskedConsumer.objects.create(number=2, **{**told, "compatibility": "odd"}),
        lambda: AskedConsumer.objects.create(number=1, **{**told, "consumer": foreign}),
    ]
    for attack in attacks:
        with pytest.raises(DatabaseError), transaction.atomic():
            attack()
    assert AskedConsumer.objects.count() == 2
    row.refresh_from_db()
    assert row.changes


def test_the_database_knows_whose_agreement_it_is(place: Place, handoff: Handoff) -> None:
    signed = sign(handoff, place.carla)
    names = [one.attname for one in SignOff._meta.concrete_fields if one.attname not in ("id", "statement_digest")]
    copy = {name: getattr(signed, name) for name in names}
    copy |= {"signer_id": place.olga.pk, "reauthentication_id": proof(place.olga), "statement_digest": "0" * 64}
    with pytest.raises(IntegrityError, match="signoff_owner_of_a_consumer_signs_alone"), transaction.atomic():
        SignOff.objects.create(**copy)
    assert handoff.signoffs.count() == 1


# What people see


def test_an_owner_finds_it_in_the_inbox_on_the_page_and_on_the_sheet(place: Place, handoff: Handoff) -> None:
    assert [(one.task.kind, one.task.key) for one in walking.inbox(place.carla)] == [("sign", role_of(place.carla.pk))]
    assert walking.inbox(place.nick) == []
    client = walking.client_of(place.carla)
    assert "The owner of Ward board signs: approval" in client.get("/").content.decode()
    page = client.get(f"/handoffs/{handoff.pk}/").content.decode()
    assert "owners asked" in page
    assert "2 may come now" in page
    assert "all fields" in page
    sheet = client.get(f"/handoffs/{handoff.pk}/sign/{role_of(place.carla.pk)}/").content.decode()
    assert "What changes for what you answer for" in sheet
    assert "Sign as Owner of a consumer" in sheet
    assert "What changes for Ward board" in sheet
    assert "What changes for Week in figures" not in sheet


def test_data_scientists_read_who_is_asked_before_and_after_the_offer(place: Place, deployment: Deployment) -> None:
    draft = drafted(place, WIDER)
    client = walking.client_of(place.dana)
    page = client.get(f"/handoffs/{draft.pk}/").content.decode()
    assert "is asked once it is offered" in page
    assert "to be asked" in page
    handoffs.offer(actor=Person(place.dana, "test"), handoff_id=str(draft.pk))
    page = client.get(f"/handoffs/{draft.pk}/").content.decode()
    assert "Data scientists are informed, and not asked" in page
    assert "not answered" in page


def test_the_api_tells_who_is_asked_about_what_and_what_they_said(place: Place, handoff: Handoff) -> None:
    client = APIClient()
    client.force_authenticate(place.carla)
    sheet = client.get(f"/api/v1/handoffs/{handoff.pk}/sheets/{role_of(place.carla.pk)}/").json()
    assert [one["name"] for one in sheet["consumers"]] == ["Ward board"]
    sign(handoff, place.carla)
    told = client.get(f"/api/v1/handoffs/{handoff.pk}/").json()
    assert [(one["name"], one["state"], one["owner"]) for one in told["consumers"]] == [
        ("Ward board", "agreed", "carla"), ("Week in figures", "waiting", "olga"),
    ]  # fmt: skip
    assert told["consumers"][1]["changes"][0]["kind"] == "widening"
    assert {"carla", "olga"} == {one["owner"] for one in told["consumers"]}
    gate = next(one for one in told["gates"] if one["name"] == "review")
    mine = next(one for one in gate["requirements"] if one["key"] == role_of(place.carla.pk))
    assert (mine["met"], mine["by"]) == (True, ["Carla"])
