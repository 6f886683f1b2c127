"""Differences through every door: who may acknowledge what, where an item stands, filters, and the printed page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, transaction
from django.urls import reverse
from rest_framework.test import APIClient

from audit.errors import Refused
from audit.models import Account, AuditEvent
from audit.names import named
from handoff.facts import known_of
from handoff.models import Acknowledgement, Handoff, PolicyRevision
from handoff.queries.gates import gates_of, tasks_for
from handoff.services import checklists, handoffs, policies
from handoff.states import State
from models_registry.models import EnvironmentUserGrant
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.test_admin_acts import done
from tests.handoff.walking import by, client_of, sign

pytestmark = pytest.mark.django_db
ASPECTS = """
aspects:
  tools.hardware: {freedom: undeclared, answered_by: analytic_engineer}
  people.owner: {freedom: undeclared}
  outputs.transport: {freedom: free, answered_by: integration_owner}
"""


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


@pytest.fixture
def shared(site: Place) -> Handoff:
    """Return a handoff in which two roles must answer for one undeclared difference each."""
    source = Path(django_settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
    policies.publish(actor=by(site.ada), source=source + ASPECTS)
    return walking.offered(site)


def api(account: Account) -> APIClient:
    client = APIClient()
    client.force_authenticate(account)
    return client


def by_service(handoff: Handoff, who: Account, keys: list[str], **words: str) -> int:
    try:
        checklists.acknowledge(actor=by(who), handoff_id=str(handoff.pk), differences=keys, **words)
    except Refused as refusal:
        return refusal.status
    return 200


def by_api(handoff: Handoff, who: Account, keys: list[str], **words: str) -> int:
    url = reverse("api:handoff-acknowledgements", args=[handoff.pk])
    status = api(who).post(url, {"differences": keys, **words}, format="json").status_code
    return 200 if status == 201 else int(status)


def by_page(handoff: Handoff, who: Account, keys: list[str], **words: str) -> int:
    status = client_of(who).post(reverse("handoff-acknowledge", args=[handoff.pk]), {"difference": keys, **words})
    return 200 if status.status_code == 303 else int(status.status_code)


DOORS = [by_service, by_api, by_page]
CASES = [
    ("the role that answers for it", "edda", ["tools.hardware"], 200),
    ("the role of the review gate, where none is named", "otto", ["people.owner"], 200),
    ("one that need not be, by its role", "iris", ["outputs.transport"], 200),
    ("somebody else's", "otto", ["tools.hardware"], 403),
    ("one's own and somebody else's", "otto", ["people.owner", "tools.hardware"], 403),
    ("the offerer", "dana", ["people.owner"], 403),
    ("a stranger cannot tell it exists", "mallory", ["people.owner"], 404),
    ("one that is equal", "otto", ["requirements.version"], 422),
    ("one that is not there", "otto", ["made.up"], 422),
    ("none", "otto", [], 422),
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("_case", "who", "keys", "status"), CASES)
def test_only_the_role_that_must_answer_acknowledges(
    _case: str, who: str, keys: list[str], status: int, door: Callable[..., int], shared: Handoff, site: Place
) -> None:
    events = AuditEvent.objects.count()
    assert door(shared, site.people[who], keys, comment="Read") == status
    given = list(Acknowledgement.objects.values_list("difference", "acknowledged_by__username"))
    assert given == ([(key, who) for key in keys] if status == 200 else [])
    assert AuditEvent.objects.count() == events + (status == 200)


@pytest.mark.parametrize("door", DOORS)
def test_words_about_a_mitigation_are_kept_signed_and_told(
    door: Callable[..., int], shared: Handoff, site: Place
) -> None:
    before = known_of(shared).facts.parts["answers"]
    assert door(shared, site.edda, ["tools.hardware"], comment="Small", mitigation="Two more cores") == 200
    row = Acknowledgement.objects.get()
    assert (row.comment, row.mitigation) == ("Small", "Two more cores")
    assert orjson.loads(AuditEvent.objects.latest("pk").body)["data"]["mitigation"] == "Two more cores"
    with_words = known_of(shared).facts.parts["answers"]
    assert with_words != before
    with pytest.raises(DatabaseError), transaction.atomic():
        Acknowledgement.objects.update(mitigation="Nothing at all")
    item = one(shared, site.dana, "tools.hardware")
    assert item["state"] == "mitigated"
    assert item["acknowledgement"]["mitigation"] == "Two more cores"
    assert item["acknowledgement"]["acknowledged_by"]["username"] == "edda"
    assert door(shared, site.edda, ["tools.hardware"]) == 409


def test_an_acknowledgement_without_a_mitigation_is_covered_as_in_the_first_release(site: Place) -> None:
    handoff = walking.offered(site)
    checklists.acknowledge(actor=by(site.otto), handoff_id=str(handoff.pk), differences=["tools.hardware"], comment="x")
    assert known_of(handoff).facts.parts["answers"] == building.digest([[], [["tools.hardware", "x"]]])


def test_each_role_is_asked_for_its_own_and_the_gate_waits_for_both(shared: Handoff, site: Place) -> None:
    def waits() -> dict[str, tuple[str, ...]]:
        review = gates_of(shared, known_of(shared))[0].result
        return {r.role: r.who for r in review.missing if r.kind == "differences"}

    def asked(who: Account) -> bool:
        return any(task.kind == "acknowledge" for task in tasks_for(who, shared, known_of(shared)))

    assert waits() == {"it_operations": ("Otto",), "analytic_engineer": ("Edda",)}
    assert (asked(site.otto), asked(site.edda), asked(site.iris)) == (True, True, False)
    by_service(shared, site.otto, ["people.owner"])
    assert waits() == {"analytic_engineer": ("Edda",)}
    assert (asked(site.otto), asked(site.edda)) == (False, True)
    by_service(shared, site.edda, ["tools.hardware"])
    assert waits() == {}


def test_without_a_holder_of_the_role_that_answers_nothing_is_offered(site: Place) -> None:
    source = Path(django_settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
    policies.publish(
        actor=by(site.ada),
        source=source.replace("acknowledge: it_operations", "")
        + ASPECTS.replace(
            "people.owner: {freedom: undeclared}", "people.owner: {freedom: undeclared, answered_by: risk_compliance}"
        ),
    )
    building.ended(EnvironmentUserGrant, user=site.edda)
    draft = walking.drafted(site)
    with pytest.raises(Refused) as refusal:
        handoffs.offer(actor=by(site.dana), handoff_id=str(draft.pk))
    assert "roles.analytic_engineer" in refusal.value.fields
    draft.refresh_from_db()
    assert (draft.state, draft.report) == (State.DRAFT, None)


@pytest.mark.parametrize("door", ["service", "api", "page", "admin"])
def test_a_lock_holds_at_every_door(door: str, site: Place) -> None:
    source = Path(django_settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
    policies.publish(actor=by(site.ada), source=source + "aspects: {tools.hardware: locked}\n")
    draft = walking.drafted(site)
    events = AuditEvent.objects.count()
    site.dana.is_staff = True
    site.dana.save(update_fields=["is_staff"])
    if door == "service":
        with pytest.raises(Refused) as refusal:
            handoffs.offer(actor=by(site.dana), handoff_id=str(draft.pk))
        told = str(refusal.value.fields)
    elif door == "api":
        told = api(site.dana).post(reverse("api:handoff-offer", args=[draft.pk])).content.decode()
    elif door == "page":
        told = client_of(site.dana).post(reverse("handoff-offer", args=[draft.pk])).content.decode()
    else:
        told = done(client_of(site.dana), "offer", draft)
    assert "must be equal on both sides" in told
    draft.refresh_from_db()
    assert draft.state == State.DRAFT
    assert AuditEvent.objects.count() == events


def one(handoff: Handoff, who: Account, key: str) -> dict[str, Any]:
    """Return one item as the API tells it."""
    answer = api(who).get(reverse("api:handoff-differences", args=[handoff.pk]))
    return next(item for item in answer.json()["items"] if item["key"] == key)


def test_the_api_tells_the_whole_report_with_its_digest(site: Place) -> None:
    draft = walking.drafted(site)
    url = reverse("api:handoff-differences", args=[draft.pk])
    before = api(site.dana).get(url).json()
    assert (before["frozen"], before["total"]) == (False, len(before["items"]))
    handoffs.offer(actor=by(site.dana), handoff_id=str(draft.pk))
    after = api(site.dana).get(url).json()
    draft.refresh_from_db()
    assert (after["frozen"], after["digest"]) == (True, draft.report_digest)
    assert before["digest"] == after["digest"]
    assert draft.report is not None
    kept = ("key", "aspect", "facet", "name", "source", "target", "classed", "severity", "reason", "rule", "role")
    assert [{k: i[k] for k in kept} for i in after["items"]] == [
        {k: i[k] for k in kept} for i in named(draft.report)["items"]
    ]
    assert after["aspects"]["tools.hardware"] == {
        "freedom": "undeclared", "answered_by": "it_operations", "changed_by": "it_operations", "allowed": []
    }  # fmt: skip


def test_filters_are_the_same_on_the_page_and_in_the_api(site: Place) -> None:
    handoff = walking.offered(site)
    address, url = (
        reverse("handoff-differences", args=[handoff.pk]),
        reverse("api:handoff-differences", args=[handoff.pk]),
    )
    whole = api(site.dana).get(url).json()["items"]
    for query, keys in (
        ({"facet": "tools", "severity": "medium"}, ["tools.hardware"]),
        ({"classed": "undeclared"}, ["tools.hardware"]),
        ({"state": "acknowledged"}, []),
        ({"severity": "none", "facet": "outputs"}, ["outputs.output_schema"]),
    ):
        items = api(site.dana).get(url, query).json()["items"]
        assert [item["key"] for item in items] == keys
        shown = client_of(site.dana).get(address, query).context["shown"]
        assert sorted(shown.names()) == sorted(keys)
        assert all(item in whole for item in items)
    assert api(site.dana).get(url, {"facet": "colour"}).status_code == 422
    assert api(site.dana).get(url, {"colour": "red"}).status_code == 400
    assert client_of(site.dana).get(address, {"facet": "colour"}).status_code == 422
    for name in ("handoff-differences", "handoff-differences-print", "api:handoff-differences"):
        assert client_of(site.mallory).get(reverse(name, args=[handoff.pk])).status_code == 404


def test_the_page_says_what_moved_and_what_is_resolved_since_the_offer(site: Place) -> None:
    handoff = walking.offered(site)
    site.target.hardware, site.target.python = site.source.hardware, "3.9.1"
    site.target.save(update_fields=["hardware", "python"])
    html = client_of(site.otto).get(reverse("handoff-differences", args=[handoff.pk])).content.decode()
    assert "The environments moved since this report was signed." in html
    assert "Python breaks its rule: 3.9.1 in the target, was 3.11.7 when it was offered" in html
    assert one(handoff, site.otto, "tools.hardware")["state"] == "resolved"
    assert one(handoff, site.otto, "tools.python")["changed"] == "3.9.1"
    handoffs.withdraw(actor=by(site.dana), handoff_id=str(handoff.pk), reason="Python")
    told = api(site.otto).get(reverse("api:handoff-differences", args=[handoff.pk])).json()
    assert told["moved"] == {}, "what ended is history"


def test_the_printed_page_has_the_digests_the_names_and_the_dates(site: Place) -> None:
    handoff = walking.answered(site)
    html = client_of(site.dana).get(reverse("handoff-differences-print", args=[handoff.pk])).content.decode()
    given = Acknowledgement.objects.get()
    assert handoff.report_digest in html
    assert handoff.version.digest in html
    words = " ".join(html.split())
    assert f"acknowledged by Otto, {given.acknowledged_at:%-d %B %Y, %H:%M} UTC" in words
    for item in handoff.report["items"]:
        assert item["name"] in html


def test_a_changed_acknowledgement_voids_the_signatures_that_covered_it(shared: Handoff, site: Place) -> None:
    walking.answered(site, shared, but=("differences",))
    by_service(shared, site.otto, ["people.owner"])
    by_service(shared, site.edda, ["tools.hardware"])
    sign(shared, site.vera, "validation")
    by_service(shared, site.iris, ["outputs.transport"], mitigation="The dashboard reads the service now.")
    signed = shared.signoffs.get()
    assert signed.voided_at is not None
    assert "acknowledged differences" in signed.voided_because


def test_a_published_policy_without_aspects_shows_the_usual_as_a_matrix(site: Place) -> None:
    found = PolicyRevision.objects.get()
    assert "aspects" not in found.content
    matrix = client_of(site.mallory).get(reverse("policy-revision", args=["light", 1])).context["matrix"]
    assert matrix.columns == ["everywhere"]
    assert {row.title: row.cells[0][1] for row in matrix.rows}["Hardware"] == "undeclared"


def test_a_lock_policy_is_shown_with_a_column_for_each_place_that_differs(site: Place) -> None:
    source = Path(django_settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
    cases = "cases: [{target_kinds: [production], risk_tiers: [medium], freedom: locked}]"
    policies.publish(actor=by(site.ada), source=source + f"aspects: {{tools.hardware: {{freedom: free, {cases}}}}}\n")
    response = client_of(site.dana).get(reverse("policy-revision", args=["light", 2]))
    matrix = response.context["matrix"]
    assert len(matrix.columns) == 2
    assert matrix.columns[1] == "production, medium risk"
    cells = {row.title: [freedom for _, freedom, _ in row.cells] for row in matrix.rows}
    assert cells["Hardware"] == ["free", "locked"]
    assert cells["Input schema"] == ["locked", "locked"]
