"""Requests that break a rule, by forms and over the API: each is refused by its code, and changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.actors import actor_of
from audit.models import Account
from handoff.facts import known_of
from handoff.models import Handoff
from handoff.rules.scopes import digest, scope_for
from handoff.services import checklists
from models_registry.models import EnvironmentUserGrant, RegisteredModelUserGrant
from tests.attacks.forging import past_the_services
from tests.doors.asking import Asking, as_it_was, content_of, taken_back
from tests.doors.bodies import body_of, state_for
from tests.doors.listing import Door, Route, routes
from tests.doors.standing import parts_of
from tests.doors.test_site_doors import KEPT
from tests.handoff import building
from tests.handoff.test_policies_unions import LIGHTER
from tests.handoff.walking import LINK, PASSWORD
from tests.queries import counting
from tests.queries.counting import Site

pytestmark = pytest.mark.django_db
SIGN = ("api:handoff-signoffs", "handoff-sign")
ANSWER = ("api:handoff-answers", "handoff-answer")
VALIDATE = {"requirement": "validation", "decision": "approve", "meaning": "review"}
Before = Callable[[Site, Handoff, str], dict[str, Any] | None]


@dataclass(frozen=True)
class Attack:
    """What somebody sends to the API and to a page, after what was done before; and how both refuse."""

    id: str
    what: str
    doors: tuple[str, ...]
    who: str
    status: int
    code: str
    state: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    before: Before | None = None
    page: int = 0  # where the page answers with another status than the API


def seen(site: Site, handoff: Handoff, who: str) -> dict[str, Any]:
    """Read the sheet and confirm by the password, so that nothing is refused for want of that."""
    now = digest(scope_for("review", known_of(handoff).facts.parts))
    return {"seen": now, "reauthentication": counting.proof_of(site.place.people[who]), "password": PASSWORD}


def with_the_role(site: Site, handoff: Handoff, who: str) -> dict[str, Any]:
    """Hold the role of a validator, too."""
    building._grant(RegisteredModelUserGrant, site.place.people[who], "validator", site.place.model)
    return seen(site, handoff, who)


def from_tomorrow(site: Site, handoff: Handoff, who: str) -> dict[str, Any]:
    """Hold the role of a validator from tomorrow on."""
    building._grant(RegisteredModelUserGrant, site.place.people[who], "validator", site.place.model)
    grants = "UPDATE models_registry_registeredmodelusergrant SET starts_at = clock_timestamp() + interval '1 day'"
    past_the_services(f"{grants} WHERE user_id = {site.place.people[who].pk}")
    return seen(site, handoff, who)


def by_automation(site: Site, handoff: Handoff, who: str) -> dict[str, Any]:
    """Let automation that vera answers for give an answer."""
    Account.objects.filter(username="robot").update(responsible=site.place.vera)
    robot = Account.objects.get(username="robot")
    told = {"item": "purpose", "choice": "yes", "evidence": [LINK]}
    checklists.answer(actor=actor_of(robot, "api"), handoff_id=str(handoff.pk), **told)
    return seen(site, handoff, who)


def signed_before(site: Site, handoff: Handoff, who: str) -> dict[str, Any]:
    past_the_services("DELETE FROM handoff_finding")
    counting.approve(handoff, site.place.people[who], "validation")
    return seen(site, handoff, who)


def signed_in_another_role(site: Site, handoff: Handoff, who: str) -> dict[str, Any]:
    past_the_services("DELETE FROM handoff_finding")
    counting.approve(handoff, site.place.people[who], "acceptance")
    return with_the_role(site, handoff, who)


def seen_of_another(site: Site, handoff: Handoff, who: str) -> dict[str, Any]:
    return seen(site, handoff, who) | {
        "seen": digest(scope_for("review", known_of(site.handoffs["testing"]).facts.parts))
    }


def without_the_role(site: Site, handoff: Handoff, who: str) -> dict[str, Any]:
    """Have held the role until now, and another one still."""
    building._grant(EnvironmentUserGrant, site.place.people[who], "integration_owner", site.place.target)
    building.ended(RegisteredModelUserGrant, user=site.place.people[who])
    return seen(site, handoff, who)


def nobody_validates(site: Site, handoff: Handoff, who: str) -> None:
    building.ended(RegisteredModelUserGrant, user=site.place.vera)


REQUESTS = (
    Attack("AP-03", "lead an offer to other bindings", ("handoff-change",), "dana", 409, "wrong_state",
           "answered", {"bindings": {"slot": "main"}, "note": "mine"}),
    Attack("AP-07", "sign what one's own automation answered", SIGN, "vera", 403, "duty_conflict",
           before=by_automation),
    Attack("AP-09", "sign twice", SIGN, "vera", 409, "already_signed", before=signed_before),
    Attack("AP-09", "sign in a second role", SIGN, "otto", 403, "duty_conflict", before=signed_in_another_role),
    Attack("AP-13", "release before the tests have run", SIGN, "otto", 409, "wrong_state", "testing",
           {"requirement": "release", "meaning": "approval"}, {"requirement": "release"}, seen, page=404),
    Attack("AP-14", "show a test that never ran", ANSWER, "dana", 422, "invalid", "offered",
           {"choice": "yes", "kind": "test", "test": "golden", "evidence": [{"kind": "test", "test": "golden"}]}),
    Attack("AP-17", "lower the tier", ("api:model PATCH",), "dana", 409, "tier_not_lowered", body={"risk_tier": "low"}),
    Attack("AP-18", "sign what was seen of another version", SIGN, "vera", 409, "changed_since_shown",
           before=seen_of_another),
    Attack("AP-19", "deploy as an administrator", ("api:handoff-deploy-again", "handoff-deploy-again"), "ada", 403,
           "role_not_held"),
    Attack("AZ-19", "sign as a superuser", SIGN, "sam", 404, "not_found", before=seen),
    Attack("AZ-19", "sign as a superuser in a role", SIGN, "dana", 403, "duty_conflict", before=with_the_role),
    Attack("AZ-15", "sign in a role that was taken away", SIGN, "vera", 403, "role_not_held", before=without_the_role),
    Attack("RO-02", "sign in a role from tomorrow", SIGN, "iris", 403, "role_not_held", before=from_tomorrow),
    Attack("AP-33", "withdraw what had its effect", ("api:signoff-withdraw", "handoff-signoff-withdraw"), "vera", 409,
           "gate_open"),
    Attack("SI-04", "withdraw somebody else's", ("api:signoff-withdraw", "handoff-signoff-withdraw"), "otto", 403,
           "not_the_signer"),
    Attack("SI-04", "revoke somebody else's", ("api:signoff-revoke", "handoff-signoff-revoke"), "otto", 403,
           "not_the_signer"),
    Attack("AZ-04", "hand over somebody else's model", ("api:handoffs", "handoff-new"), "dana", 404, "not_found",
           body={"model": "moles", "version": 1}, page=422),
    Attack("RG-13", "sign a digest in capitals", ("api:handoff-signoffs",), "vera", 422, "invalid",
           body={"seen": "A" * 64, **VALIDATE}),
    Attack("RG-13", "sign the beginning of a digest", ("api:handoff-signoffs",), "vera", 422, "invalid",
           body={"seen": "a" * 12, **VALIDATE}),
    Attack("RO-01", "grant oneself a role", ("api:model-roles",), "ada", 403, "self_grant",
           body={"role": "validator", "holder": "ada"}),
    Attack("RO-03", "name nobody accountable", ("api:raci",), "ada", 422, "raci_invalid",
           body={"source": "approve: {validator: R}", "reason": "x"}),
    Attack("RO-04", "publish duties", ("api:duties",), "dana", 403, "administrator_required"),
    Attack("RO-04", "acknowledge the duties of others", ("api:duty-acknowledgements", "duty-acknowledge"), "dana", 404,
           "not_found"),
    Attack("RO-05", "offer where nobody can validate", ("api:handoff-offer", "handoff-offer"), "dana", 422, "not_ready",
           before=nobody_validates),
    Attack("RO-07", "delegate what one does not hold", ("api:delegations", "delegations"), "rita", 403, "role_not_held",
           body={"to": "iris"}, page=422),
    Attack("RO-08", "stop what runs", ("api:deployment-suspensions", "deployment-suspend"), "dana", 403,
           "role_not_held"),
    Attack("RO-08", "accept a drift", ("api:finding-accept", "handoff-finding-accept"), "dana", 403, "role_not_held"),
    Attack("PO-01", "publish a policy", ("api:policies", "policy-publish"), "dana", 403, "administrator_required"),
    Attack("PO-04", "publish what clashes", ("api:policies", "policy-publish"), "ada", 409, "policies_conflict",
           body={"source": LIGHTER.replace("review: {signoffs", "review: {acknowledge: validator, signoffs")}),
    Attack("CH-01", "answer for another role", ANSWER, "otto", 403, "role_not_held", "offered"),
    Attack("CH-02", "say yes and show nothing", ANSWER, "dana", 422, "evidence_missing", "offered", {"choice": "yes"}),
    Attack("CH-11", "let one's own package in", ("api:exception-answer", "exception-answer"), "dana", 403,
           "role_not_held"),
    Attack("EM-02", "withdraw without a word", ("api:handoff-withdraw", "handoff-withdraw"), "dana", 422, "invalid",
           body={"reason": " "}),
    Attack("EM-02", "withdraw what is live", ("api:handoff-withdraw", "handoff-withdraw"), "dana", 409, "wrong_state",
           "live"),
    Attack("EM-03", "sign an amendment of another role", ("api:amendment-signoffs", "amendment-sign"), "dana", 403,
           "role_not_held"),
    Attack("EM-06", "roll back", ("api:deployment-roll-back", "deployment-roll-back"), "dana", 403, "role_not_held"),
    Attack("EM-06", "roll back to nothing", ("api:deployment-roll-back", "deployment-roll-back"), "otto", 409,
           "nothing_to_roll_back_to"),
    Attack("EM-06", "roll back without a word", ("api:deployment-roll-back", "deployment-roll-back"), "otto", 422,
           "invalid", body={"reason": " "}),
    Attack("EM-07", "break a glass that the policy has not", ("api:handoff-break-glass", "handoff-break-glass-ask"),
           "otto", 409, "break_glass_not_allowed"),
    Attack("EM-07", "confirm one's own", ("api:break-glass-confirm", "handoff-break-glass"), "edda", 403,
           "role_not_held"),
    Attack("EM-10", "lift a suspension", ("api:deployment-suspension-lift", "deployment-lift"), "dana", 403,
           "role_not_held"),
    Attack("EM-12", "deploy again", ("api:handoff-deploy-again", "handoff-deploy-again"), "dana", 403, "role_not_held"),
    Attack("EM-12", "repeat a test", ("api:job-retry",), "dana", 403, "role_not_held"),
    Attack("IN-07", "answer once the gate has opened", ANSWER, "dana", 409, "wrong_state", "testing"),
)  # fmt: skip
LISTS = ("/handoffs/", "/models/", "/api/v1/handoffs/", "/api/v1/models/", "/admin/handoff/handoff/")
TRIED = [(attack, name) for attack in REQUESTS for name in attack.doors]


@cache
def named() -> dict[str, Route]:
    """Return every address by its name."""
    return {route.name: route for route in routes()}


def sent(asking: Asking, attack: Attack, name: str) -> Any:
    """Send an attack to one door, after what comes before it; take all of it back."""
    name, _, method = name.partition(" ")
    door = Door(method or "POST", named()[name])
    handoff = asking.site.handoffs[attack.state or state_for(name)]
    parts = parts_of(asking.site, handoff) | attack.parts
    path = door.route.path
    for part in door.route.parts:
        path = path.replace(f"<{part}>", str(parts[part]))
    with taken_back():
        more = attack.before(asking.site, Handoff.objects.get(pk=handoff.pk), attack.who) if attack.before else None
        return asking.ask(attack.who, door, path, body_of(name, door.method) | attack.body | (more or {}))


@pytest.mark.parametrize(("attack", "name"), TRIED, ids=[f"{a.id} {a.what} {n}" for a, n in TRIED])
def test_every_attack_is_refused_and_changes_nothing(attack: Attack, name: str, signed_in: Asking) -> None:
    told = sent(signed_in, attack, name)
    if name.startswith("api:"):
        assert (told.word, f'"code":"{attack.code}"' in told.text) == (str(attack.status), True), told.text[:300]
    else:
        assert told.word in (str(attack.page or attack.status), "no")
    assert set(told.written) <= KEPT


def test_what_was_offered_is_not_changed_over_the_api(signed_in: Asking) -> None:
    handoff, before = signed_in.site.handoffs["answered"], content_of("handoff_handoff")
    client = signed_in.client("dana", api=True)
    told = {"bindings": {"slot": "main"}, "note": "mine"}
    with as_it_was(client):
        path, now = reverse("api:handoff", args=[handoff.pk]), f'"{handoff.revision}"'
        answer = client.patch(path, told, format="json", HTTP_IF_MATCH=now)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert content_of("handoff_handoff") == before


def test_a_password_that_is_guessed_in_the_form_locks_signing_and_not_reading(signed_in: Asking) -> None:
    handoff, client = signed_in.site.handoffs["answered"], signed_in.client("vera")
    path = reverse("handoff-sign", args=[handoff.pk, "validation"])
    with taken_back(), as_it_was(client):
        right = {"decision": "approve", "meaning": "review", **seen(signed_in.site, handoff, "vera")}
        statuses = [client.post(path, right | {"password": "guess"}).status_code for _ in range(5)]
        assert statuses == [403] * 5
        assert client.post(path, right).status_code == 403
        assert client.get(reverse("handoff", args=[handoff.pk])).status_code == 200
        assert not handoff.signoffs.filter(requirement="validation").exists()


@pytest.mark.parametrize("name", ["handoff-sign", "handoff-withdraw", "deployment-roll-back", "policy-publish"])
def test_a_form_of_another_site_does_nothing(name: str, signed_in: Asking) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = signed_in.client("otto").cookies
    handoff, route = signed_in.site.handoffs["ready"], named()[name]
    there = parts_of(signed_in.site, handoff) | {"requirement": "release"}
    path = route.path
    for part in route.parts:
        path = path.replace(f"<{part}>", str(there[part]))
    with taken_back():
        answer = browser.post(path, body_of(name, "POST"), headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "X-Frame-Options" in answer.headers or "frame-ancestors" in answer.headers["Content-Security-Policy"]


def test_the_session_of_a_browser_opens_nothing_over_the_api_without_its_own_token(signed_in: Asking) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = signed_in.client("otto").cookies
    handoff = signed_in.site.handoffs["ready"]
    with taken_back():
        answer = browser.post(reverse("api:handoff-withdraw", args=[handoff.pk]), {"reason": "Because."})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_form_of_another_site_does_nothing_in_the_admin(signed_in: Asking) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = signed_in.client("ada").cookies
    body = {"action": "take_away", "_selected_action": ["1"], "confirmed": "yes", "reason": "Because."}
    with taken_back():
        answer = browser.post("/admin/models_registry/environmentusergrant/", body)
    assert answer.status_code == 403


@pytest.mark.parametrize("query", ["page=999999", "page_size=1000000000", "q=%27%3B--", "state=nowhere", "offset=-1"])
@pytest.mark.parametrize(
    "path", ["/handoffs/", "/models/", "/api/v1/handoffs/", "/api/v1/models/", "/admin/handoff/handoff/"]
)
def test_an_odd_page_or_filter_is_refused_or_means_nothing(path: str, query: str, signed_in: Asking) -> None:
    client = signed_in.client("ada", api=path.startswith("/api/"))
    with taken_back():
        answer = client.get(f"{path}?{query}&model__created_by__password__startswith=a")
    assert answer.status_code in (200, 302, 400, 404, 422)
    assert len(answer.content) < 400_000
    assert answer.status_code in (400, 422) or not path.startswith("/api/")
