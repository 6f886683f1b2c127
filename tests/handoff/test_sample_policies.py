"""The sample organisation: a model of low risk under its light policy beside one of high risk under its strict one."""

from pathlib import Path
from typing import Any

import pytest

from audit.models import Account
from handoff.errors import GateShut
from handoff.facts import known_of, rules_of
from handoff.models import Handoff, StandardChange
from handoff.receipts import take
from handoff.rules.gates import evaluate
from handoff.services import checklists, handoffs
from handoff.states import State
from mdlc_site.sample import organisation
from models_registry.models import Environment
from models_registry.services import registered_models
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.standing import deployed, signed
from tests.handoff.test_standard_changes import kind, missing
from tests.handoff.walking import by

pytestmark = pytest.mark.django_db
PIPELINE = {"pipeline": "a" * 64}
ASKED_BY_BOTH = ("purpose", "data-origin", "runbook", "capacity")


@pytest.fixture
def clinic(db: None, store: Path, tmp_path: Path) -> dict[str, Place]:
    """Return the sample organisation with a model of low risk and one of high risk."""
    organisation.load(tmp_path)
    people = {account.username: account for account in Account.objects.all()}
    places = {}
    for tier in ("low", "high"):
        model = registered_models.register(
            actor=by(people["dana"]), slug=tier, name=tier.title(), purpose="Tests", owner_team="Lab", risk_tier=tier
        )
        organisation.grant_on(tier)
        source, target = (Environment.objects.get(slug=slug) for slug in ("lab", "clinic"))
        places[tier] = Place(model, source, target, people)
    return places


def offered(place: Place, number: int = 1, **training: Any) -> Handoff:
    """Return a handoff that was offered under whichever policies apply."""
    version = building.a_version(place, number, "other" if number > 1 else "good", training=PIPELINE | training)
    where = {"source": "lab", "target": "clinic"}
    draft = handoffs.draft(actor=by(place.dana), model=place.model.slug, version=version.number, **where)
    return handoffs.offer(actor=by(place.dana), handoff_id=draft.pk)


def answered(place: Place, handoff: Handoff, *items: str) -> None:
    """Answer these items and acknowledge what differs."""
    for item in items:
        who = place.dana if item in ("purpose", "data-origin", "fairness") else place.noah
        evidence = [walking.FIGURE if item == "capacity" else walking.LINK]
        if item == "data-origin":
            _, receipt = take(by(who), "origin.txt", [b"The clinic's own records."])
            evidence = [{"kind": "file", "label": "origin.txt", "receipt": receipt}]
        checklists.answer(actor=by(who), handoff_id=handoff.pk, item=item, choice="yes", evidence=evidence)
    for role, who in (("it_operations", place.otto), ("analytic_engineer", place.noah)):
        asked = [key for key, one in handoff.report["asked"].items() if one == role]
        if asked:
            checklists.acknowledge(actor=by(who), handoff_id=handoff.pk, differences=asked)


def needed(handoff: Handoff) -> set[str]:
    """Return what the policy of a handoff makes it need, but for the gates before and the differences."""
    rules, facts = rules_of(handoff), known_of(handoff).facts
    found = (evaluate(gate, rules, facts).requirements for gate in ("review", "release", "confirm"))
    return {one.key for some in found for one in some if one.needed and one.kind in ("answer", "signoff", "test")}


def test_what_is_enough_under_the_light_policy_is_not_under_the_strict_one(clinic: dict[str, Place]) -> None:
    light, strict = offered(clinic["low"]), offered(clinic["high"])
    assert [[one["policy"] for one in handoff.policies] for handoff in (light, strict)] == [["light"], ["strict"]]
    assert needed(light) - needed(strict) == set()
    assert needed(strict) - needed(light) == {
        "fairness", "monitoring", "results-read", "risk", "release-risk", "outputs",
    }  # fmt: skip
    for place, handoff in ((clinic["low"], light), (clinic["high"], strict)):
        answered(place, handoff, *ASKED_BY_BOTH)
    signed(light, clinic["low"].vera, "validation")
    signed(light, clinic["low"].otto, "acceptance")
    with pytest.raises(GateShut):
        signed(strict, clinic["high"].vera, "validation")
    assert (light.state, strict.state, strict.signoffs.count()) == (State.TESTING, State.IN_REVIEW, 0)
    answered(clinic["high"], strict, "fairness", "monitoring")
    signed(strict, clinic["high"].vera, "validation")
    signed(strict, clinic["high"].otto, "acceptance")
    assert (strict.state, missing(strict, "review")) == (State.IN_REVIEW, ["risk"])


def test_operations_alone_renew_what_is_live_under_the_light_policy_and_not_under_the_strict_one(
    clinic: dict[str, Place],
) -> None:
    place = clinic["low"]
    first = offered(place)
    answered(place, first, *ASKED_BY_BOTH)
    signed(first, place.vera, "validation")
    signed(first, place.otto, "acceptance")
    building.tested(first, rmse=55.7)
    signed(first, place.otto, "release")
    assert deployed(first).state == State.LIVE
    renewed, strict = offered(place, 2, retrained_from=1), offered(clinic["high"])
    answered(place, renewed, *ASKED_BY_BOTH)
    assert (kind(renewed)[0], missing(renewed, "review")) == ("retrain", ["acceptance"])
    assert missing(strict, "review") == ["validation", "risk", "acceptance"]
    assert known_of(strict).facts.change is None, "it knows of no lighter kind"
    signed(renewed, place.otto, "acceptance")
    building.tested(renewed, rmse=55.6)
    signed(renewed, place.otto, "release")
    assert deployed(renewed).state == State.LIVE
    assert StandardChange.objects.get().kind == "retrain"
