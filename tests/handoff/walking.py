"""Walk a handoff through the services, as the people would, up to where a page is to be seen."""

from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.test import Client

from audit.actors import Person
from audit.models import Account
from handoff.facts import rules_of
from handoff.models import Handoff, PolicyRevision, SignOff
from handoff.queries.inbox import Entry, inbox_of
from handoff.queries.signing import sheet_for
from handoff.services import checklists, handoffs, policies, reauthentications, signoffs
from handoff.states import GATE_OF, State
from models_registry.access import held_by
from models_registry.models import EnvironmentUserGrant, ModelVersion
from tests.handoff import building
from tests.handoff.building import Place

PASSWORD = "correct horse battery staple"
BACKEND = "django.contrib.auth.backends.ModelBackend"
LINK = {"kind": "link", "label": "Model card", "link": "https://wiki.example.org/card"}
FIGURE = {"kind": "figure", "label": "requests a second", "figure": 40}


def by(account: Account) -> Person:
    """Return a person at the page's door."""
    return Person(account, "web")


def inbox(account: Account) -> list[Entry]:
    """Return what waits for an account on the first page of its inbox."""
    return inbox_of(account, held_by(account)).entries


def a_site(place: Place | None = None) -> Place:
    """Return a place whose people have passwords, with an analytic engineer, an administrator and the light policy."""
    place = place or building.a_place()
    place.people |= {name: building.person(name) for name in ("edda", "ada")}
    building._grant(EnvironmentUserGrant, place.edda, "analytic_engineer", place.target)
    for account in place.people.values():
        account.password = _hashed(settings.PASSWORD_HASHERS[0])
        account.is_staff = account.username == "ada"
        account.save(update_fields=["password", "is_staff"])
    place.target.hardware = "4 CPU"  # one undeclared difference
    place.target.save(update_fields=["hardware"])
    a_light_policy(place)
    return place


@cache
def _hashed(hasher: str) -> str:
    """Return the password's hash, which takes a while; tests choose who hashes."""
    return make_password(PASSWORD)


def a_light_policy(place: Place) -> PolicyRevision:
    """Publish the light policy that comes with the product."""
    source = Path(settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
    return policies.publish(actor=by(place.ada), source=source)


def client_of(account: Account | None) -> Client:
    """Return a browser in which somebody is signed in, or nobody."""
    client = Client()
    if account is not None:
        client.force_login(account, backend=BACKEND)
    return client


def drafted(place: Place, version: ModelVersion | None = None, **more: Any) -> Handoff:
    """Return a draft."""
    version = version or building.a_version(place)
    return handoffs.draft(
        actor=by(place.dana),
        model=place.model.slug,
        version=version.number,
        source="workbench",
        target="production",
        **more,
    )


def offered(place: Place, version: ModelVersion | None = None) -> Handoff:
    """Return a handoff in review, with nothing answered."""
    return handoffs.offer(actor=by(place.dana), handoff_id=str(drafted(place, version).pk))


def answered(place: Place, handoff: Handoff | None = None, *, but: tuple[str, ...] = ()) -> Handoff:
    """Answer what the gate under way asks, and acknowledge what differs."""
    handoff = handoff or offered(place)
    for item in rules_of(handoff).gate(GATE_OF[State(handoff.state)]).checklist:
        if item.key not in but:
            who = place.dana if item.role == "data_scientist" else place.edda
            evidence = [FIGURE if item.evidence == ("figure",) else LINK]
            checklists.answer(actor=by(who), handoff_id=str(handoff.pk), item=item.key, choice="yes", evidence=evidence)
    if handoff.report and "differences" not in but:
        checklists.acknowledge(
            actor=by(place.otto), handoff_id=str(handoff.pk), differences=handoff.report["undeclared"]
        )
    return handoff


def sign(handoff: Handoff, who: Account, requirement: str) -> SignOff:
    """Approve what is there now."""
    sheet = sheet_for(who, handoff.pk, requirement)
    confirmed = reauthentications.confirm(actor=by(who), password=PASSWORD)
    signed = signoffs.sign(
        actor=by(who),
        handoff_id=str(handoff.pk),
        requirement=requirement,
        decision="approve",
        meaning=sheet.rule.meaning,
        seen=sheet.seen,
        reauthentication=str(confirmed.pk),
    )
    handoff.refresh_from_db()
    return signed


def under_test(place: Place) -> Handoff:
    """Return a handoff whose review gate has opened; its tests are queued."""
    handoff = answered(place)
    sign(handoff, place.vera, "validation")
    sign(handoff, place.otto, "acceptance")
    return handoff


def ready(place: Place) -> Handoff:
    """Return a handoff whose tests have passed."""
    return building.tested(under_test(place))
