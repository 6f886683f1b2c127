"""Every address of the site, by every method, for nobody, a stranger, and a member without the right.

The addresses are read from the code. One that is new and that nobody has thought about fails here.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import get_resolver, reverse
from django.urls.resolvers import URLPattern, URLResolver
from django.utils import timezone

from audit.models import Account, AuditEvent, PersonalKey, TreeHead
from handoff.models import (
    Acknowledgement,
    Amendment,
    Answer,
    BreakGlass,
    Condition,
    ConditionStep,
    Deployment,
    Finding,
    Handoff,
    Job,
    PolicyRevision,
    Reauthentication,
    Replay,
    Retirement,
    RetirementNotice,
    Run,
    SignOff,
    Suspension,
    Waiver,
)
from models_registry.models import (
    Blob,
    Consumer,
    Delegation,
    Element,
    Environment,
    ImportException,
    ModelVersion,
    Organisation,
    RegisteredModel,
    Stream,
)
from tests.handoff import walking
from tests.handoff.authenticator import registered
from tests.queries.counting import Site, a_site

METHODS = ("get", "post", "put", "patch", "delete")
PUBLIC = {"api:tokens", "api:schema", "api:docs", "live", "ready", "security-txt"}
ELSEWHERE = ("admin/", "account/")  # Django's and allauth's, proven in files of their own
BY_LINK = {"blob"}  # whoever holds the link; proven with the registry
# What everybody who is signed in may do, because it touches nothing of anybody else's.
ANYBODY = {
    ("api:models", "post"), ("model-new", "post"), ("api:policy-validate", "post"), ("api:reauthentications", "post"),
    ("api:token-current", "delete"), ("handoff-new", "post"), ("api:handoffs", "post"),
    ("delegations", "post"),
    ("api:personal-keys", "post"), ("api:personal-key-question", "post"), ("api:reauthentications-by-key", "post"),
    ("personal-key-new", "post"), ("personal-key-register", "post"),
}  # fmt: skip
FOR_ALL_TO_READ = {
    "api:policy",
    "policy-revision",
    "checklist-template",
    "api:checklist-template",
}  # the rules people work under
REASON = {"reason": "because"}
HOLDING = {"role": "validator", "holder": "iris"}
AMENDING = {
    "requirement": "integration-owner", "decision": "approve", "meaning": "approval", "seen": "0" * 64,
    "reauthentication": str(uuid4()),
}  # fmt: skip
RETIRING = {**REASON, "reauthentication": str(uuid4())}
ADOPTING = {"seen": "0" * 64, **REASON, "reauthentication": str(uuid4())}
DELEGATION = {"role": "validator", "model": "tumours", "to": "iris", "ends": "2099-01-01", **REASON}
SIGNATURE = {
    "requirement": "validation", "decision": "approve", "meaning": "review", "seen": "0" * 64,
    "reauthentication": str(uuid4()),
}  # fmt: skip
CONFIRMED = {"seen": "0" * 64, "reauthentication": str(uuid4())}
STREAM = {"descriptor": {"transport": "inline", "location": {"records": [{"x": 1}]}}, "owner": "otto"}
TYPED = STREAM | {"descriptor": "{transport: sql, location: {url: 'sqlite:///x', table: t}}", "purpose": "mine"}
CONSUMER = {
    "name": "x", "kind": "report", "owner": "otto", "purpose": "x", "criticality": "low", "effect": "x",
}  # fmt: skip
REPORT = {"comment": "because", "link": "https://example.org/log"}
WAIVED = {"kind": "item", "requirement": "runbook", "reason": "because", "control": "watched"}
ASKED = {"library": "torch", "version": "2.4.0", "reason": "because"}
ANSWER = {"answer": "refused", "comment": "because"}
# The acts: address and method, what is sent, whose right it is not though they may see the thing, and which handoff.
ACTS: dict[tuple[str, str], tuple[Any, str, str]] = {
    ("api:organisations", "post"): ({"slug": "x", "name": "X"}, "dana", ""),
    ("api:environments", "post"): (
        {"slug": "x", "name": "X", "kind": "test", "organisation": "lab", "owner": "dana", "python": "3.11.7"},
        "dana", "",
    ),
    ("api:environment", "patch"): ({"purpose": "other"}, "dana", ""),
    ("api:streams", "post"): (STREAM | {"slug": "x", "direction": "source"}, "dana", ""),
    ("api:stream", "patch"): ({"purpose": "other"}, "dana", ""),
    ("api:stream-retire", "post"): (REASON, "dana", ""),
    ("api:consumers", "post"): (CONSUMER, "otto", ""),
    ("api:consumer", "patch"): ({"purpose": "other"}, "otto", ""),
    ("api:consumer-retire", "post"): (REASON, "otto", ""),
    ("stream-new", "post"): (TYPED | {"slug": "x", "direction": "source"}, "dana", ""),
    ("stream-change", "post"): (TYPED | {"purpose": "other"}, "dana", ""),
    ("stream-retire", "post"): (REASON, "dana", ""),
    ("consumer-new", "post"): (CONSUMER | {"fields": ""}, "otto", ""),
    ("consumer-change", "post"): (CONSUMER | {"fields": "", "purpose": "other"}, "otto", ""),
    ("consumer-retire", "post"): (REASON, "otto", ""),
    ("api:exceptions", "post"): (ASKED, "vera", ""),
    ("api:exception-answer", "post"): (ANSWER, "dana", ""),
    ("api:exception-withdraw", "post"): (REASON, "otto", ""),
    ("api:exception-revoke", "post"): (REASON, "dana", ""),
    ("exception-new", "post"): (ASKED, "vera", ""),
    ("exception-answer", "post"): (ANSWER, "dana", ""),
    ("exception-withdraw", "post"): (REASON, "otto", ""),
    ("exception-revoke", "post"): (REASON, "dana", ""),
    ("api:environment-profiles", "post"): ({"profile": 1}, "iris", ""),
    ("api:environment-roles", "post"): (HOLDING | {"role": "it_operations"}, "iris", ""),
    ("api:environment-roles", "delete"): ({"role": "it_operations", "holder": "otto"}, "iris", ""),
    ("api:organisation-roles", "post"): (HOLDING | {"role": "it_operations"}, "iris", ""),
    ("api:organisation-roles", "delete"): ({"role": "it_operations", "holder": "otto"}, "iris", ""),
    ("api:delegations", "post"): (DELEGATION, "dana", ""),
    ("api:accounts-merge", "post"): ({"account": "vera", "same_as": "rita", **REASON}, "dana", ""),
    ("api:accounts-pseudonymise", "post"): ({"person": "vera", "confirm": "vera", **REASON}, "dana", ""),
    ("api:leaver-hold", "post"): ({"person": "vera", **REASON}, "dana", ""),
    ("api:leaver-lift", "post"): ({"person": "vera", **REASON}, "dana", ""),
    ("api:accounts-part", "post"): ({"account": "vera", **REASON}, "dana", ""),
    ("api:model", "patch"): ({"purpose": "other"}, "vera", ""),
    ("api:model-roles", "post"): (HOLDING, "vera", ""),
    ("api:model-roles", "delete"): ({"role": "validator", "holder": "vera"}, "rita", ""),
    ("api:versions", "post"): ({"notes": "mine"}, "vera", ""),
    ("api:element", "put"): ({"python": ">=3.11", "packages": {}}, "vera", ""),
    ("api:element", "delete"): ({}, "vera", ""),
    ("api:version-infer-schemas", "post"): ({}, "vera", ""),
    ("api:version-nominate", "post"): ({}, "vera", ""),
    ("api:version-discard", "post"): ({}, "vera", ""),
    ("api:policies", "post"): ({"source": "policy: x"}, "dana", ""),
    ("api:duties", "post"): ({"role": "validator", "text": "x", "reason": "x"}, "dana", ""),
    ("api:raci", "post"): ({"source": "[]", "reason": "x"}, "dana", ""),
    ("api:policy-diff", "post"): ({"source": "policy: x"}, "dana", ""),
    ("api:policy-simulate", "post"): ({"source": "policy: x"}, "dana", ""),
    ("api:handoff", "patch"): ({"note": "mine"}, "vera", "draft"),
    ("api:handoff-offer", "post"): ({}, "vera", "draft"),
    ("api:handoff-withdraw", "post"): (REASON, "vera", "offered"),
    ("api:handoff-answers", "post"): ({"item": "purpose", "choice": "no", **REASON}, "vera", "offered"),
    ("api:handoff-acknowledgements", "post"): ({"differences": ["x"]}, "dana", "offered"),
    ("api:handoff-signoffs", "post"): (SIGNATURE, "iris", "answered"),
    ("api:signoff-withdraw", "post"): (REASON, "dana", "signed"),
    ("api:signoff-revoke", "post"): (REASON, "dana", "signed"),
    ("api:condition-report", "post"): (REPORT, "iris", "signed"),
    ("api:condition-accept", "post"): (REPORT, "iris", "signed"),
    ("api:condition-reject", "post"): (REPORT, "iris", "signed"),
    ("api:handoff-deploy-again", "post"): ({}, "dana", "ready"),
    ("api:job-retry", "post"): ({}, "dana", "testing"),
    ("api:job-cancel", "post"): (REASON, "dana", "testing"),
    ("api:deployment-roll-back", "post"): (REASON, "dana", "live"),
    ("handoff-change", "post"): ({"note": "mine"}, "vera", "draft"),
    ("handoff-offer", "post"): ({}, "vera", "draft"),
    ("handoff-withdraw", "post"): (REASON, "vera", "offered"),
    ("handoff-answer", "post"): ({"choice": "no", **REASON}, "vera", "offered"),
    ("handoff-acknowledge", "post"): ({"differences": ["x"]}, "dana", "offered"),
    ("handoff-sign", "post"): (SIGNATURE | {"password": walking.PASSWORD}, "iris", "answered"),
    ("api:handoff-adoption", "post"): (ADOPTING, "otto", "answered"),
    ("handoff-adopt", "post"): (ADOPTING | {"password": walking.PASSWORD}, "otto", "answered"),
    ("handoff-signoff-withdraw", "post"): (REASON, "dana", "signed"),
    ("handoff-signoff-revoke", "post"): (REASON, "dana", "signed"),
    ("handoff-condition-report", "post"): (REPORT, "iris", "signed"),
    ("handoff-condition-judge", "post"): (REPORT | {"answer": "accept"}, "iris", "signed"),
    ("handoff-deploy-again", "post"): ({}, "dana", "ready"),
    ("deployment-roll-back", "post"): (REASON, "dana", "live"),
    ("api:deployment-retirements", "post"): (RETIRING, "dana", "live"),
    ("deployment-retire", "post"): (REASON | {"password": walking.PASSWORD}, "dana", "live"),
    ("api:deployment-retirement-cancel", "post"): (REASON, "dana", "live"),
    ("deployment-retire-cancel", "post"): (REASON, "dana", "live"),
    ("api:deployment-suspensions", "post"): (REASON, "dana", "live"),
    ("api:deployment-suspension-lift", "post"): (REASON | {"reauthentication": "0" * 32}, "dana", "live"),
    ("deployment-suspend", "post"): (REASON, "dana", "live"),
    ("deployment-lift", "post"): (REASON | {"password": walking.PASSWORD}, "dana", "live"),
    ("api:deployment-runs", "post"): (REASON, "dana", "live"),
    ("api:deployment-run-stop", "post"): (REASON, "dana", "live"),
    ("deployment-run-now", "post"): (REASON, "dana", "live"),
    ("deployment-run-stop", "post"): (REASON, "dana", "live"),
    ("api:finding-accept", "post"): ({"comment": "because"}, "dana", "live"),
    ("handoff-finding-accept", "post"): ({"comment": "because"}, "dana", "live"),
    ("api:finding-close", "post"): ({"evidence": {"kind": "link", "link": "https://x.example/1"}}, "dana", "live"),
    ("handoff-finding-close", "post"): ({"link": "https://x.example/1"}, "dana", "live"),
    ("api:environment-finding-close", "post"): (
        {"evidence": {"kind": "link", "link": "https://x.example/1"}}, "iris", "",
    ),
    ("environment-finding-close", "post"): ({"link": "https://x.example/1"}, "iris", ""),
    ("api:waiver-answer", "post"): ({"answer": "refused", "comment": "because"}, "dana", "offered"),
    ("api:waiver-withdraw", "post"): (REASON, "dana", "offered"),
    ("api:waiver-revoke", "post"): (REASON, "dana", "offered"),
    ("handoff-waiver-answer", "post"): ({"answer": "refused", "comment": "because"}, "dana", "offered"),
    ("handoff-waiver-withdraw", "post"): (REASON, "dana", "offered"),
    ("handoff-waiver-revoke", "post"): (REASON, "dana", "offered"),
    ("api:break-glass-confirm", "post"): (CONFIRMED, "dana", "offered"),
    ("api:break-glass-withdraw", "post"): ({}, "dana", "offered"),
    ("handoff-break-glass", "post"): (CONFIRMED | {"password": walking.PASSWORD}, "dana", "offered"),
    ("handoff-break-glass-withdraw", "post"): ({}, "dana", "offered"),
    ("api:handoff-replays", "post"): ({"production": "patients"}, "dana", "live"),
    ("handoff-replay-order", "post"): ({"production": "patients"}, "dana", "live"),
    ("api:amendment-signoffs", "post"): (AMENDING, "otto", ""),
    ("api:amendment-withdraw", "post"): (REASON, "otto", ""),
    ("amendment-sign", "post"): (AMENDING | {"password": walking.PASSWORD}, "otto", ""),
    ("amendment-withdraw", "post"): (REASON, "otto", ""),
    ("policy-publish", "get"): ({}, "dana", ""),
    ("policy-publish", "post"): ({"source": "policy: x"}, "dana", ""),
    ("version-new", "post"): ({"notes": "mine"}, "vera", ""),
    ("version-element", "post"): ({"text": "{}"}, "vera", ""),
    ("version-element-remove", "post"): ({}, "vera", ""),
    ("version-infer-schemas", "post"): ({}, "vera", ""),
    ("version-nominate", "post"): ({}, "vera", ""),
    ("version-discard", "post"): ({}, "vera", ""),
}  # fmt: skip
# Acts that every member may do, or whoever's own it is, and no stranger.
FIRST = {"api:stream", "api:consumer"}  # what is in its first revision
MEMBERS = {
    ("api:handoff-evidence", "post"), ("deployment-try", "post"),
    ("api:handoff-findings", "post"), ("handoff-finding-raise", "post"),
    ("api:delegation-end", "post"), ("delegation-end", "post"),
    ("api:duty-acknowledgements", "post"), ("duty-acknowledge", "post"),
    ("api:handoff-pack", "post"), ("handoff-pack", "post"),
    ("api:handoff-waivers", "post"), ("handoff-waiver-ask", "post"),
    ("amendment-new", "post"), ("api:deployment-amendments", "post"),
    ("api:handoff-break-glass", "post"), ("handoff-break-glass-ask", "post"),
    ("api:handoff-sheet-key", "post"), ("handoff-sign-key", "post"),
    ("api:amendment-key", "post"), ("amendment-sign-key", "post"),
    ("api:personal-key-retire", "post"), ("personal-key-retire", "post"),
    ("api:retirement-acknowledge", "post"), ("retirement-acknowledge", "post"),
}  # fmt: skip
# What members send; else the body is refused first.
QUESTION = {"decision": "approve", "meaning": "review", "seen": "0" * 64}
WHOLE: dict[str, Any] = {
    "api:handoff-sheet-key": QUESTION,
    "api:amendment-key": QUESTION | {"requirement": "integration-owner"},
    "api:personal-key-retire": REASON,
    "api:handoff-findings": {"title": "x", "severity": "low", "owner": "dana"},
    "api:handoff-break-glass": REASON | {"incident": "INC-7"},
    "api:handoff-waivers": WAIVED | {"until": "2026-01-01"},
}
TABLES = (
    Acknowledgement, Amendment, Answer, ConditionStep, Deployment, Handoff, Job, PolicyRevision, Replay, Run, SignOff,
    Suspension, Blob, Consumer, Element, Environment, ImportException, ModelVersion, Organisation, RegisteredModel,
    Stream,
)  # fmt: skip


def views(resolver: Any = None, before: str = "", space: str = "") -> Iterator[tuple[str, Any]]:
    """Give the name of every address of the API with its view."""
    for one in (resolver or get_resolver()).url_patterns:
        if isinstance(one, URLResolver):
            yield from views(one, before, f"{one.namespace}:" if one.namespace else space)
        elif space == "api:":
            yield f"{space}{one.name}", getattr(one.callback, "cls", getattr(one.callback, "view_class", None))


def routes(resolver: Any = None, before: str = "", space: str = "") -> Iterator[tuple[str, list[str]]]:
    """Give the name of every address with the names of what it is filled in with."""
    for one in (resolver or get_resolver()).url_patterns:
        text = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one, text, f"{one.namespace}:" if one.namespace else space)
        elif isinstance(one, URLPattern) and not text.startswith(ELSEWHERE):
            yield f"{space}{one.name}", [*get_resolver_parameters(text)]


def get_resolver_parameters(text: str) -> Iterator[str]:
    """Give the names between angle brackets."""
    for part in text.split("<")[1:]:
        yield part.split(">")[0].partition(":")[2] or part.split(">")[0]


BYTES = ("api:version-manifest", "api:changes", "api:reconciliation-table")
ROUTES = dict(routes())
VIEWS = dict(views())


@pytest.fixture
def store(settings: Any, tmp_path: Path) -> Path:
    """Keep blobs in a folder of the test's own."""
    folder = tmp_path / "store"
    settings.STORE = str(folder)
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": {"location": str(folder)}}}
    return folder


@pytest.fixture
def site(db: None, store: Path) -> Site:
    """Return a site where something of everything has happened, and where the stranger is signed in."""
    site = a_site()
    site.api("mallory"), site.browser("mallory")
    return site


def address(site: Site, name: str, state: str = "", *, real: bool = True, number: int | None = None) -> str:
    """Return an address that leads to something that is there, or to nothing."""
    state = "signed" if name.endswith("handoff-signoff") else state
    handoff = site.handoffs.get("testing" if state == "signed" else state or "answered")
    signoff = SignOff.objects.filter(handoff=site.handoffs["testing"]).first()
    assert handoff is not None
    assert signoff is not None
    assert site.deployment is not None
    there: dict[str, Any] = {
        "model": "tumours", "language": "avro", "role": "validator",
        "environment": "production", "organisation": "plant", "number": number or 20,
        "element": "runtime", "name": "runtime",
        "slug": "production" if name == "environment" else "light" if "policy" in name else "tumours",
        "policy": "light", "template": "model-card", "handoff_id": handoff.pk, "requirement": "validation",
        "item": "purpose",
        "signoff_id": signoff.pk, "evidence_id": 1, "deployment_id": site.deployment.pk, "sha256": "0" * 64,
        "stream": "scores", "consumer_id": Consumer.objects.get(stream__slug="scores").pk,
        "key_id": key_of(site), "notice_id": notice_of(site) if "notice_id" in ROUTES[name] else "",
        "exception_id": ImportException.objects.get().pk, "amendment_id": Amendment.objects.get().pk,
    }  # fmt: skip
    there["condition_id"] = condition_of(signoff) if "condition_id" in ROUTES[name] else ""
    there["waiver_id"] = waiver_of(handoff) if "waiver_id" in ROUTES[name] else ""
    there["break_glass_id"] = glass_of(handoff) if "break_glass_id" in ROUTES[name] else ""
    there["delegation_id"] = delegation_of(site) if "delegation_id" in ROUTES[name] else ""
    testing = site.handoffs["testing"].jobs
    there["job_id"] = testing.values_list("pk", flat=True).first() if "job_id" in ROUTES[name] else ""
    on = site.place.target if "environment" in ROUTES[name] else handoff
    there["finding_id"] = finding_of(on) if "finding_id" in ROUTES[name] else ""
    keys = (
        "amendment_id", "break_glass_id", "consumer_id", "delegation_id", "deployment_id", "exception_id", "finding_id",
        "handoff_id", "job_id", "signoff_id", "waiver_id",
    )  # fmt: skip
    nowhere: dict[str, Any] = {key: uuid4() for key in keys}
    filled = {key: there[key] for key in ROUTES[name]}
    if ("policy" in name or "replay" in name or "-run" in name) and "number" in filled:
        filled["number"] = 1
    if not real:
        filled = {key: nowhere.get(key, "nowhere" if isinstance(value, str) else 999) for key, value in filled.items()}
    return str(reverse(name, kwargs=filled))


def notice_of(site: Site) -> int:
    """Return that somebody was told of a retirement, which is planned if none is."""
    owner, at = site.place.people["otto"], timezone.now()
    proof = Reauthentication.objects.create(person=owner, method="password", expires_at=at)
    told = {"planned_by": owner, "reason": "Old.", "due_at": at + timedelta(days=9), "reauthentication": proof}
    plan = Retirement.objects.first() or Retirement.objects.create(deployment=site.deployment, **told)
    consumer = Consumer.objects.get(stream__slug="scores")
    return int(RetirementNotice.objects.get_or_create(retirement=plan, consumer=consumer, owner=owner)[0].pk)


def key_of(site: Site) -> str:
    """Return a personal key of somebody, which is registered if there is none."""
    key = PersonalKey.objects.first() or registered(site.place.people["vera"])[1]
    return key.pk


def condition_of(signoff: SignOff) -> int:
    """Return the condition of a sign-off, which is written if there is none."""
    due = timezone.now()
    told = {"text": "Rehearse it.", "due_at": due, "owner": signoff.signer}
    return int(Condition.objects.get_or_create(signoff=signoff, number=1, defaults=told)[0].pk)


def finding_of(on: Handoff | Environment) -> str:
    """Return the open finding of a handoff or an environment, which is raised if there is none."""
    told: dict[str, Any] = {"items": {"tools.python": "Python moved."}, "severity": "low", "due_at": timezone.now()}
    if isinstance(on, Handoff):
        told |= {"handoff": on, "suspends": True}
    else:
        told |= {"environment": on, "suspends": False, "kind": "served", "subject": "served:stranger:odd"}
    return str((on.findings.filter(closed_at=None).first() or Finding.objects.create(**told)).pk)


def waiver_of(handoff: Handoff) -> str:
    """Return the open request for a waiver of a handoff, which is made if there is none."""
    until, who = timezone.localdate(), Account.objects.get(username="edda")
    told = WAIVED | {"until": until, "asked_by": who}
    return str((handoff.waivers.filter(answer="").first() or Waiver.objects.create(handoff=handoff, **told)).pk)


def glass_of(handoff: Handoff) -> str:
    """Return the break-glass that is asked for at a handoff, which is written if there is none."""
    told = REASON | {"incident": "INC-7", "gate": "review", "asked_by": Account.objects.get(username="edda")}
    found = handoff.break_glass.first() or BreakGlass.objects.create(
        handoff=handoff, confirm_by=timezone.now() + timedelta(hours=1), **told
    )
    return str(found.pk)


def delegation_of(site: Site) -> str:
    """Return a delegation, which is made if there is none."""
    people, ends = site.place.people, timezone.now() + timedelta(days=1)
    told = {"role": "integration_owner", "environment": site.place.target, "reason": "On leave.", "ends_at": ends}
    made = Delegation.objects.first() or Delegation.objects.create(
        delegator=people["iris"], delegate=people["rita"], **told
    )
    return str(made.pk)


def send(site: Site, who: str, name: str, method: str, where: str, body: Any) -> Any:
    """Send one request as somebody, over the door that the address belongs to."""
    api = name.startswith("api:")
    client = site.api(who) if api else site.browser(who)
    if name == "api:handoff-evidence" and method == "post":
        return client.post(where, {"file": SimpleUploadedFile("x.txt", b"x")}, format="multipart")
    if not api:
        return getattr(client, method)(where, body) if method in ("get", "post") else getattr(client, method)(where)
    if method == "get":
        return client.get(where)
    return getattr(client, method)(where, body, format="json", HTTP_IF_MATCH=revision_of(site, name))


def revision_of(site: Site, name: str) -> str:
    """Return the tag of the revision that is current, so that nothing is refused for want of it."""
    if name == "api:environment":
        return f'"{Environment.objects.get(slug="production").revision}"'
    versions = ModelVersion.objects.get(number=20).revision
    handoffs = Handoff.objects.get(pk=site.handoffs["draft"].pk).revision
    return f'"{handoffs if "handoff" in name else 1 if name in FIRST else versions}"'


def counts() -> tuple[int, ...]:
    """Return how many rows there are of everything that an act writes; that somebody came in is no act."""
    events = AuditEvent.objects.exclude(chain__startswith="account:").count()
    return (events, *(table.objects.count() for table in TABLES))


def governed() -> list[tuple[str, str]]:
    """Return the addresses, with each method, at which something governed is read or done."""
    return [(name, method) for name in sorted(ROUTES) if name not in PUBLIC | BY_LINK for method in METHODS]


def test_every_address_is_thought_about(site: Site) -> None:
    """Whatever can be done anywhere is an act with a right, or in a list that says why it needs none."""
    for name, method in governed():
        if method != "get":
            where = address(site, name, real=False)
            site.signed_in.pop("api mallory", None)  # one of the acts gives a token back
            answer = send(site, "mallory", name, method, where, {})
            offered = answer.status_code != 405
            assert offered == ((name, method) in ACTS.keys() | ANYBODY | MEMBERS), (name, method, answer.status_code)


def test_nobody_comes_in_without_signing_in(site: Site, client: Any) -> None:
    before = counts()
    for name, method in governed():
        where = address(site, name)
        answer = getattr(client, method)(where, **({"content_type": "application/json"} if method != "get" else {}))
        if name.startswith("api:"):
            assert answer.status_code == 401, (name, method)
            assert answer.json()["code"] == "not_signed_in", (name, method)
        elif answer.status_code == 302:
            assert answer["Location"].startswith("/account/login/?next="), (name, method)
        else:
            assert answer.status_code in (403, 405), (name, method, answer.status_code)
    assert counts() == before


def told(answer: Any) -> tuple[int, str]:
    """Return what an answer says; a page says it by its status, and repeats the address."""
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        return answer.status_code, str(answer.json())
    return answer.status_code, ""


def test_a_stranger_cannot_tell_what_is_there_from_what_is_not(site: Site) -> None:
    before = counts()
    for name, method in governed():
        if not ROUTES[name] or name in FOR_ALL_TO_READ:
            continue
        body, _, state = ACTS.get((name, method), (WHOLE.get(name, {}), "", ""))
        real, unreal = (address(site, name, state, real=there) for there in (True, False))
        answer = send(site, "mallory", name, method, real, body)
        assert answer.status_code in (404, 405), (name, method, answer.status_code)
        assert told(answer) == told(send(site, "mallory", name, method, unreal, body)), (name, method)
    assert counts() == before


def test_a_stranger_finds_every_list_empty(site: Site) -> None:
    everybody = {
        "api:policies", "api:checklist-templates", "api:organisations", "api:me", "api:keys", "api:duties", "api:raci",
        "api:changes", "api:lead-times", "api:reconciliation-table",
        "api:policy-schema",
    }  # fmt: skip
    for name in sorted(ROUTES):
        if name.startswith("api:") and not ROUTES[name] and name not in PUBLIC | everybody:
            answer = send(site, "mallory", name, "get", address(site, name), {})
            if answer.status_code == 200:
                rows = answer.json()
                assert (rows if isinstance(rows, list) else rows["results"]) == [], name
            else:
                assert answer.status_code in (404, 405), name


@pytest.mark.parametrize("act", ACTS, ids=lambda act: f"{act[0]}-{act[1]}")
def test_a_member_without_the_right_is_refused(act: tuple[str, str], site: Site) -> None:
    body, who, state = ACTS[act]
    before = counts()
    answer = send(site, who, *act, address(site, act[0], state), body)
    assert answer.status_code == 403, (answer.status_code, answer.content[:500])
    assert counts() == before


def test_everything_that_is_read_has_a_page_to_browse(site: Site) -> None:
    readers = {
        "api:events": "rita",
        "api:audit-inclusion": "rita",
        "api:audit-consistency": "rita",
        "api:invariants": "rita",
        "api:handoff-sheet": "vera",
        "api:owner-of-record": "otto",
        "api:health": "ada",
        "api:leavers": "ada",
        "api:environment-findings": "otto",
    }
    for name in sorted(ROUTES):
        if not name.startswith("api:") or name in PUBLIC or "get" not in handlers(name):
            continue
        number = {"api:version-manifest": 1, "api:element": 1, "api:environment-profile": 1}.get(name)
        where = address(site, name, "live" if name == "api:handoff-replay" else "", number=number)
        more = {
            "api:owner-of-record": "?model=tumours&environment=production",
            "api:stream-fit": "?model=tumours&version=1",
            "api:audit-inclusion": f"?chain=handoff:{site.handoffs['live'].pk}&seq=1",
            "api:changes": "?since=2026-01-01&until=2099-01-01",
            "api:lead-times": "?since=2026-01-01&until=2099-01-01",
            "api:audit-consistency": f"?old={TreeHead.objects.latest('size').size}",
        }.get(name, "")
        browser = site.browser(readers.get(name, "dana"))
        page = browser.get(where + more, HTTP_ACCEPT="text/html")
        assert page.status_code == 200, (name, page.status_code)
        if name not in (
            "api:version-manifest",
            "api:changes",
            "api:reconciliation-table",
        ):  # those are bytes that somebody hashes, whoever asks
            text = page.content.decode()
            assert "<style" not in text
            assert " style=" not in text
            data = text.count('<script type="application/json"')
            assert text.count("<script") == text.count("<script src=") + data, name


def handlers(name: str) -> set[str]:
    """Return the methods that an address of the API answers."""
    return {method for method in METHODS if method in dir(VIEWS[name])}
