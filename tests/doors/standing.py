"""A site where something of everything is, and all its people, for asking every door of it."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.contrib.auth.hashers import make_password
from django.utils import timezone

from audit.models import Account, PersonalKey
from handoff.models import (
    Amendment,
    BreakGlass,
    Condition,
    Evidence,
    Finding,
    Handoff,
    Reauthentication,
    Retirement,
    RetirementNotice,
    Waiver,
)
from models_registry.models import (
    Consumer,
    Delegation,
    Element,
    Environment,
    EnvironmentUserGrant,
    ImportException,
    Organisation,
    OrganisationUserGrant,
    RegisteredModel,
    RegisteredModelUserGrant,
)
from models_registry.store import keep_bytes
from tests.handoff import building, walking
from tests.handoff.authenticator import registered
from tests.handoff.building import Place
from tests.handoff.recording import one_of_each
from tests.queries.counting import Site, a_site

# Everybody who asks, in the order of the table's columns.
ROLES = (
    "nobody", "mallory", "nina", "robot", "dana", "vera", "edda", "otto", "iris", "rita", "ada", "sam",
)  # fmt: skip
IN_ADMIN = ("nobody", "mallory", "dana", "ada", "olga", "sam")  # who else is not staff is as dana is


def standing() -> Site:
    """Return the site with everybody on it, and one record of each kind that an address may name."""
    site = a_site()
    people = site.place.people
    people |= {name: building.person(name) for name in ("nina", "robot", "olga", "sam")}
    Account.objects.filter(username__in=people).update(password=make_password(walking.PASSWORD))
    _rights(site)
    _another_party(people["nina"], site.place)
    one_of_each(people["olga"], 1)
    _beside_handoffs(site)
    _of_people(site)
    for account in people.values():
        account.refresh_from_db()
    return site


def _rights(site: Site) -> None:
    """Let the robot build as dana does, ada administer the organisation, olga stand in for otto; sam holds nothing."""
    people, place = site.place.people, site.place
    Account.objects.filter(username="robot").update(kind=Account.Kind.SERVICE, responsible=people["dana"])
    Account.objects.filter(username__in=("olga", "sam")).update(is_staff=True)
    Account.objects.filter(username="sam").update(is_superuser=True)
    building._grant(RegisteredModelUserGrant, people["robot"], "data_scientist", place.model)
    building._grant(OrganisationUserGrant, people["ada"], "administrator", place.target.organisation)
    building._grant(EnvironmentUserGrant, people["olga"], "it_operations", place.target)


def _another_party(nina: Account, place: Place) -> Handoff:
    """Write a handoff of another organisation, with its own model and environment, in which nina holds every role."""
    far = Organisation.objects.create(slug="far", name="Far")
    attic = Environment.objects.create(
        slug="attic", name="Attic", kind="production", organisation=far, owner=nina, python="3.11.7"
    )
    moles = RegisteredModel.objects.create(
        slug="moles", name="Moles", purpose="Tests", owner_team="Far", created_by=nina
    )
    for role in ("data_scientist", "validator", "risk_compliance", "model_owner"):
        building._grant(RegisteredModelUserGrant, nina, role, moles)
    for role in ("it_operations", "analytic_engineer", "integration_owner"):
        building._grant(EnvironmentUserGrant, nina, role, attic)
    building._grant(OrganisationUserGrant, nina, "administrator", far)
    party = Place(moles, place.source, attic, {"dana": nina})
    return building.offered(party, building.a_version(party, latency_p99_ms=77), building.a_policy())


def _beside_handoffs(site: Site) -> None:
    """Write what lies beside handoffs: findings, waivers, conditions, a break-glass, a planned retirement."""
    people, now = site.place.people, timezone.now()
    for handoff in site.handoffs.values():
        Finding.objects.create(
            handoff=handoff, items={"tools.python": "Python moved."}, severity="low", suspends=True, due_at=now
        )
        told = {"kind": "item", "requirement": "runbook", "reason": "No time.", "control": "Somebody watches."}
        Waiver.objects.create(handoff=handoff, until=timezone.localdate(), asked_by=people["edda"], **told)
    stranger = {"items": {"odd": "Nobody handed it over."}, "kind": "served", "subject": "served:stranger:odd"}
    Finding.objects.create(environment=site.place.target, severity="low", suspends=False, due_at=now, **stranger)
    signoff = site.handoffs["testing"].signoffs.first()
    assert signoff is not None
    Condition.objects.create(signoff=signoff, number=1, text="Rehearse it.", due_at=now, owner=signoff.signer)
    proof = Reauthentication.objects.create(person=people["otto"], method="password", expires_at=now)
    told = {"planned_by": people["otto"], "reason": "Old.", "due_at": now + timedelta(days=9)}
    plan = Retirement.objects.create(deployment=site.deployment, reauthentication=proof, **told)
    consumer = Consumer.objects.get(stream__slug="scores", owner=people["otto"])
    RetirementNotice.objects.create(retirement=plan, consumer=consumer, owner=people["otto"])
    answer = site.handoffs["answered"].answers.first()
    Evidence.objects.create(answer=answer, kind="file", label="log.txt", blob=keep_bytes(b"All is well."))


def _of_people(site: Site) -> None:
    people = site.place.people
    told = {"role": "integration_owner", "environment": site.place.target, "reason": "On leave."}
    ends = timezone.now() + timedelta(days=1)
    text = '{"packages": {}, "python": ">=3.11"}'
    runtime = {"filename": "runtime.json", "text": text, "set_by": people["dana"]}
    Element.objects.create(version=site.draft_version, name="runtime", blob=keep_bytes(text.encode()), **runtime)
    Delegation.objects.create(delegator=people["iris"], delegate=people["rita"], ends_at=ends, **told)
    registered(people["vera"])


def parts_of(site: Site, handoff: Handoff) -> dict[str, Any]:
    """Return what is there, by the name that addresses have for it."""
    signoff = site.handoffs["testing"].signoffs.first()
    assert signoff is not None
    assert site.deployment is not None
    return {
        "model": "tumours", "language": "avro", "role": "validator", "environment": "production",
        "organisation": "plant", "element": "runtime", "name": "runtime", "policy": "light", "template": "model-card",
        "handoff_id": handoff.pk, "requirement": "validation", "item": "purpose", "number": 1, "stream": "scores",
        "signoff_id": signoff.pk, "deployment_id": site.deployment.pk, "sha256": "0" * 64,
        "evidence_id": Evidence.objects.get(kind="file").pk,
        "consumer_id": Consumer.objects.get(stream__slug="scores", owner__username="otto").pk,
        "key_id": PersonalKey.objects.get(account__username="vera").pk, "notice_id": RetirementNotice.objects.get().pk,
        "exception_id": ImportException.objects.get(environment=site.place.target).pk,
        "amendment_id": Amendment.objects.get(deployment=site.deployment).pk,
        "condition_id": Condition.objects.get().pk, "waiver_id": _first(handoff.waivers),
        "break_glass_id": BreakGlass.objects.get(handoff=site.handoffs["offered"]).pk,
        "delegation_id": Delegation.objects.get(delegator__username="iris").pk,
        "job_id": _first(site.handoffs["testing"].jobs), "finding_id": _first(handoff.findings),
        "id": Account.objects.get(username="vera").pk, "app_label": "handoff", "url": "nowhere", "key": "x",
        "uidb36": "x",
    }  # fmt: skip


def _first(rows: Any) -> Any:
    return rows.order_by("pk").values_list("pk", flat=True).first()


def absent(name: str, there: Any) -> Any:
    """Return a value of the same kind that leads to nothing."""
    return {str: "nowhere", int: 99999999}.get(type(there)) or uuid4()
