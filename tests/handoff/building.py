"""Build handoffs for tests of the background: rows as they stand after the people have done their part."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission
from django.db.models.functions import Now
from django.utils import timezone

from audit.actors import Person, Worker
from audit.models import Account
from engine.manifests import Element as Listed
from engine.manifests import Manifest
from handoff import queue
from handoff.facts import known_of, rules_of
from handoff.models import Handoff, Policy, PolicyRevision, Reauthentication, SignOff
from handoff.plans import TestReport
from handoff.rules.policies import digest_of
from handoff.rules.scopes import digest, scope_for
from handoff.services import jobs, promotion_tests, signoffs
from handoff.states import State
from models_registry.models import (
    Element,
    Environment,
    EnvironmentUserGrant,
    ModelVersion,
    Organisation,
    RegisteredModel,
    RegisteredModelUserGrant,
)
from models_registry.services import streams
from models_registry.states import TEXT_ELEMENTS, VersionState
from models_registry.store import keep_bytes
from tests.handoff import artifacts

REPORT: dict[str, Any] = {"items": [], "undeclared": []}
TESTS = ("integrity", "safety", "schema", "golden", "performance", "robustness", "latency")


@dataclass
class Place:
    """A model, its two environments, and the people with their roles."""

    model: RegisteredModel
    source: Environment
    target: Environment
    people: dict[str, Account] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Account:
        """Return a person by name."""
        try:
            return self.people[name]
        except KeyError:
            raise AttributeError(name) from None


def person(name: str) -> Account:
    """Return an account, created if it is not there."""
    account, _ = Account.objects.get_or_create(username=name, defaults={"first_name": name.capitalize()})
    return account


def a_place(slug: str = "tumours", engine: str = "production") -> Place:
    """Return a model with its environments and people."""
    people = {name: person(name) for name in ("dana", "vera", "otto", "iris", "rita", "mallory")}
    lab, _ = Organisation.objects.get_or_create(slug="lab", defaults={"name": "Lab"})
    plant, _ = Organisation.objects.get_or_create(slug="plant", defaults={"name": "Plant"})
    runtime = {"python": "3.11.7", "packages": {}}
    source, _ = Environment.objects.get_or_create(
        slug="workbench",
        defaults={"name": "Workbench", "kind": "creation", "organisation": lab, "owner": people["dana"], **runtime},
    )
    target, _ = Environment.objects.get_or_create(
        slug="production",
        defaults={
            "name": "Production",
            "kind": "production",
            "organisation": plant,
            "owner": people["otto"],
            "engine": engine,
            **runtime,
        },
    )
    model = RegisteredModel.objects.create(
        slug=slug, name=slug.capitalize(), purpose="Tests", owner_team="Lab", created_by=people["dana"]
    )
    for who, role in (("dana", "data_scientist"), ("vera", "validator"), ("rita", "risk_compliance")):
        _grant(RegisteredModelUserGrant, people[who], role, model)
    for who, role in (("otto", "it_operations"), ("iris", "integration_owner")):
        _grant(EnvironmentUserGrant, people[who], role, target)
    return Place(model, source, target, people)


def _grant(table: Any, who: Account, role: str, on: Any) -> None:
    permission = Permission.objects.get(codename=f"hold_{role}", content_type__model=on._meta.model_name)
    table.objects.get_or_create(user=who, permission=permission, content_object=on)


def ended(table: Any, **of: Any) -> None:
    """End grants at this moment; none is ever deleted."""
    assert table.objects.filter(**of).update(ends_at=Now())


def batch_streams(place: Place) -> dict[str, Any]:
    """Declare a source that ends and a sink, and return the bindings of a batch over them."""
    inline = {"transport": "inline", "location": {"records": [{"radius": 1.0}]}}
    for slug, direction, descriptor in (("days", "source", inline), ("gone", "sink", {"transport": "discard"})):
        if not place.target.streams.filter(slug=slug).exists():
            told = {"slug": slug, "direction": direction, "descriptor": descriptor, "owner": "otto"}
            streams.declare(actor=Person(place.otto, "test"), environment=place.target.slug, **told)
    return {"mode": "batch", "input": {"stream": "days"}, "outputs": [{"stream": "gone"}]}


def a_profile(**more: Any) -> dict[str, Any]:
    """Return what a capture prints of a small environment."""
    return {
        "profile": 1,
        "captured_at": "2026-11-20T09:00:00+00:00",
        "interpreter": {"implementation": "CPython", "version": "3.11.7"},
        "platform": {"system": "Linux", "release": "6.1", "machine": "x86_64"},
        "hardware": {"cpus": 4, "memory_mb": 16000},
        "packages": {"onnxruntime": "1.32.0", "numpy": "2.4.6"},
        "licences": {"numpy": "BSD-3-Clause"},
        "files": [{"name": "train.csv", "size": 10, "sha256": "a" * 64}],
        "secrets": {"DATABASE_PASSWORD": True},
        **more,
    }


def a_version(place: Place, number: int = 1, quality: str = "good", **more: Any) -> ModelVersion:
    """Return a nominated version, its bytes in the store."""
    version = ModelVersion.objects.create(
        model=place.model, number=number, format="onnx", created_by=place.dana, notes="a test"
    )
    listed = []
    for name, content in artifacts.elements(quality, **more).items():
        key = keep_bytes(content).pk
        text = content.decode() if name in TEXT_ELEMENTS else None
        Element.objects.create(
            version=version, name=name, blob_id=key, filename=f"{name}.bin", text=text, set_by=place.dana
        )
        listed.append(Listed(name, key, len(content), f"{name}.bin"))
    manifest = Manifest(place.model.slug, number, "onnx", tuple(sorted(listed, key=lambda e: e.name)))
    version.manifest, version.digest = manifest.canonical().decode(), manifest.digest
    version.state = VersionState.NOMINATED
    version.nominated_by, version.nominated_at = place.dana, timezone.now()
    version.save()
    return version


def a_policy(tests: tuple[str, ...] = TESTS, *, confirm: bool = False, **more: Any) -> PolicyRevision:
    """Return a published policy with one signature a gate, and more keys perhaps."""

    def asks(key: str, role: str, meaning: str) -> dict[str, Any]:
        return {"signoffs": [{"key": key, "role": role, "meaning": meaning}]}

    gates = {
        "review": asks("validation", "validator", "review"),
        "release": asks("release", "it_operations", "approval"),
    }
    if confirm:
        gates["confirm"] = asks("outputs", "integration_owner", "approval")
    content = {
        "policy": "short",
        "title": "Short",
        "applies_to": {"risk_tiers": ["low", "medium", "high"], "target_kinds": ["production"]},
        "tests": list(tests),
        "gates": gates,
        **more,
    }
    policy, _ = Policy.objects.get_or_create(slug="short", defaults={"title": "Short"})
    found = policy.revisions.filter(digest=digest_of(content)).first()
    return found or PolicyRevision.objects.create(
        policy=policy, number=policy.revisions.count() + 1, source="{}", content=content, digest=digest_of(content)
    )


def offered(place: Place, version: ModelVersion, policy: PolicyRevision, bindings: Any = None) -> Handoff:
    """Return a handoff in review, with nothing signed."""
    now = timezone.now()
    return Handoff.objects.create(
        number=place.model.handoffs.count() + 1,
        model=place.model,
        version=version,
        source=place.source,
        target=place.target,
        state=State.IN_REVIEW,
        bindings=bindings or {"slot": "main"},
        policy_revision=policy,
        policy=policy.content,
        report=REPORT,
        policy_digest=policy.digest,
        report_digest=digest(REPORT),
        drafted_by=place.dana,
        offered_by=place.dana,
        offered_at=now,
        expires_at=now + timedelta(days=30),
    )


def sign(handoff: Handoff, gate: str, who: Account, *, decision: str = "approve", **more: Any) -> SignOff:
    """Sign what is there now, as a person who has just confirmed who they are."""
    rule = rules_of(handoff).gate(gate).signoffs[0]
    scope = scope_for(gate, known_of(handoff).facts.parts)
    proof = Reauthentication.objects.create(
        person=who, method="password", expires_at=timezone.now() + timedelta(minutes=5)
    )
    signoff = signoffs.sign(
        actor=Person(who, "test"),
        handoff_id=str(handoff.pk),
        requirement=rule.key,
        decision=decision,
        meaning=rule.meaning,
        seen=digest(scope),
        reauthentication=str(proof.pk),
        **more,
    )
    handoff.refresh_from_db()
    return signoff


def open_review(place: Place, handoff: Handoff) -> Handoff:
    """Give the last signature of the review, which writes the tests."""
    sign(handoff, "review", place.vera)
    assert handoff.state == State.TESTING
    return handoff


def open_release(place: Place, handoff: Handoff) -> Handoff:
    """Give the last signature of the release, which writes the order."""
    sign(handoff, "release", place.otto)
    assert handoff.state == State.DEPLOYING
    return handoff


def tested(handoff: Handoff, **figures: Any) -> Handoff:
    """Let every test of a handoff pass with some figures, without running anything."""
    for job in handoff.jobs.filter(task=queue.RUN_TEST):
        claimed = jobs.claim(job.pk, "tester", task=queue.RUN_TEST)
        assert claimed is not None
        assert promotion_tests.begin(claimed.pk, claimed.fence) is not None
        report = TestReport("passed", "It went well.", figures, {}, "", 0.0)
        promotion_tests.finish(claimed.pk, claimed.fence, report, actor=Worker("tester"))
    handoff.refresh_from_db()
    return handoff
