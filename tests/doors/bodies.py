"""What is sent to each writing door, so that a right and not a missing field decides; and where it is tried."""

from typing import Any
from uuid import uuid4

from tests.handoff import walking

REASON = {"reason": "because"}
SEEN = {"seen": "0" * 64, "reauthentication": str(uuid4())}
TYPED = {"password": walking.PASSWORD}
HOLDING = {"role": "validator", "holder": "iris"}
ON_SITE = {"role": "it_operations", "holder": "otto"}
SIGNATURE = SEEN | {"requirement": "validation", "decision": "approve", "meaning": "review"}
AMENDING = SEEN | {"requirement": "integration-owner", "decision": "approve", "meaning": "approval"}
QUESTION = {"decision": "approve", "meaning": "review", "seen": "0" * 64}
DESCRIPTOR = {"transport": "inline", "location": {"records": [{"x": 1}]}}
STREAM = {"descriptor": DESCRIPTOR, "owner": "otto", "direction": "source", "slug": "x"}
WRITTEN = STREAM | {"descriptor": "{transport: sql, location: {url: 'sqlite:///x', table: t}}", "purpose": "mine"}
CONSUMER = {"name": "x", "kind": "report", "owner": "otto", "purpose": "x", "criticality": "low", "effect": "x"}
REPORT = {"comment": "because", "link": "https://example.org/log"}
REFUSED = {"answer": "refused", "comment": "because"}
ASKED = {"library": "torch", "version": "2.4.0", "reason": "because"}
WAIVED = {"kind": "item", "requirement": "tests-for-schema", "reason": "because", "control": "watched"}
DELEGATION = {"role": "validator", "model": "tumours", "to": "iris", "ends": "2099-01-01", **REASON}
PROOF = {"kind": "link", "link": "https://x.example/1"}
ENVIRONMENT = {"slug": "x", "name": "X", "kind": "test", "organisation": "lab", "owner": "dana", "python": "3.11.7"}
MODEL = {"slug": "new", "name": "New", "purpose": "x", "owner_team": "Lab"}
DRAFT = {"model": "tumours", "version": 7, "source": "workbench", "target": "production"}
BREAKING = REASON | {"incident": "INC-7"}
FINDING = {"title": "x", "severity": "low", "owner": "dana"}
OTHER = {"purpose": "other"}

# By the name of the address, and its method where there are two.
BODIES: dict[str, Any] = {
    "api:accounts-merge": {"account": "vera", "same_as": "rita", **REASON},
    "api:accounts-part": {"account": "vera", **REASON},
    "api:accounts-pseudonymise": {"person": "vera", "confirm": "vera", **REASON},
    "api:amendment-key": QUESTION | {"requirement": "integration-owner"},
    "api:amendment-signoffs": AMENDING,
    "api:break-glass-confirm": SEEN,
    "api:checklist-templates": {"source": "template: x"},
    "api:condition-accept": REPORT,
    "api:condition-reject": REPORT,
    "api:condition-report": REPORT,
    "api:consumer PATCH": OTHER,
    "api:consumers": CONSUMER,
    "api:delegations": DELEGATION,
    "api:deployment-amendments": {"bindings": {}, **REASON},
    "api:deployment-retirements": REASON | SEEN,
    "api:deployment-suspension-lift": REASON | {"reauthentication": "0" * 32},
    "api:duties": {"role": "validator", "text": "x", "reason": "x"},
    "api:duty-acknowledgements": {"revision": 1},
    "api:element PUT": {"python": ">=3.11", "packages": {}},
    "api:environment PATCH": OTHER,
    "api:environment-finding-close": {"evidence": PROOF},
    "api:environment-profiles": {"profile": 1},
    "api:environment-roles": HOLDING | {"role": "it_operations"},
    "api:environment-roles DELETE": ON_SITE,
    "api:environments": ENVIRONMENT,
    "api:exception-answer": REFUSED,
    "api:exceptions": ASKED,
    "api:finding-accept": {"comment": "because"},
    "api:finding-close": {"evidence": PROOF},
    "api:handoff PATCH": {"note": "mine"},
    "api:handoff-acknowledgements": {"differences": ["tools.hardware"]},
    "api:handoff-adoption": REASON | SEEN,
    "api:handoff-answers": {"item": "purpose", "choice": "no", **REASON},
    "api:handoff-break-glass": BREAKING,
    "api:handoff-findings": FINDING,
    "api:handoff-replays": {"production": "patients"},
    "api:handoff-sheet-key": QUESTION,
    "api:handoff-signoffs": SIGNATURE,
    "api:handoff-waivers": WAIVED | {"until": "2099-01-01"},
    "api:handoffs": DRAFT,
    "api:model PATCH": OTHER,
    "api:model-roles": HOLDING,
    "api:model-roles DELETE": {"role": "validator", "holder": "vera"},
    "api:leaver-hold": {"person": "vera", **REASON},
    "api:leaver-lift": {"person": "vera", **REASON},
    "api:models": MODEL,
    "api:organisation-roles": HOLDING | {"role": "it_operations"},
    "api:organisation-roles DELETE": {"role": "administrator", "holder": "ada"},
    "api:organisations": {"slug": "x", "name": "X"},
    "api:policies": {"source": "policy: x"},
    "api:policy-diff": {"source": "policy: x"},
    "api:policy-simulate": {"source": "policy: x"},
    "api:policy-validate": {"source": "policy: x"},
    "api:raci": {"source": "[]", "reason": "x"},
    "api:reauthentications": {"password": walking.PASSWORD},
    "api:stream PATCH": OTHER,
    "api:streams": STREAM,
    "api:tokens": {"username": "mallory", "password": walking.PASSWORD},
    "api:versions": {"notes": "mine"},
    "api:waiver-answer": REFUSED,
    "amendment-new": {"bindings": "{}", **REASON},
    "amendment-sign": AMENDING | TYPED,
    "amendment-sign-key": QUESTION | {"requirement": "integration-owner"},
    "consumer-change": CONSUMER | {"fields": ""},
    "consumer-new": CONSUMER | {"fields": ""},
    "delegations": DELEGATION | {"what": "validator model tumours"},
    "deployment-lift": REASON | TYPED,
    "deployment-retire": REASON | TYPED,
    "environment-finding-close": PROOF,
    "exception-answer": REFUSED,
    "exception-new": ASKED,
    "handoff-acknowledge": {"differences": ["tools.hardware"]},
    "handoff-adopt": REASON | SEEN | TYPED,
    "handoff-answer": {"choice": "no", **REASON},
    "handoff-break-glass": SEEN | TYPED,
    "handoff-break-glass-ask": BREAKING,
    "handoff-change": {"note": "mine"},
    "handoff-condition-judge": REPORT | {"answer": "accept"},
    "handoff-condition-report": REPORT,
    "handoff-finding-accept": {"comment": "because"},
    "handoff-finding-close": PROOF,
    "handoff-finding-raise": FINDING,
    "handoff-new": DRAFT | {"version": "tumours@7", "do": "draft"},
    "handoff-replay-order": {"production": "patients"},
    "handoff-sign": SIGNATURE | TYPED,
    "handoff-sign-key": QUESTION,
    "handoff-waiver-answer": REFUSED,
    "handoff-waiver-ask": WAIVED | {"until": "2099-01-01"},
    "model-change": MODEL | {"risk_tier": "medium", "seen": 1},
    "model-new": MODEL,
    "personal-key-register": TYPED | {"response": "{}", "name": "x"},
    "checklist-publish": {"source": "template: x"},
    "policy-publish": {"source": "policy: x"},
    "stream-change": WRITTEN,
    "stream-new": WRITTEN,
    "version-element": {"text": "{}"},
    "version-new": {"notes": "mine"},
}
# Doors that are tried elsewhere than at a handoff in review on which everything is answered.
STATES = {
    "api:handoff": "draft",
    "api:handoff-offer": "draft",
    "handoff-offer": "draft",
    "handoff-change": "draft",
    "api:break-glass": "offered",
    "handoff-answer": "offered",
    "handoff-acknowledge": "offered",
    "api:handoff-answers": "offered",
    "api:handoff-acknowledgements": "offered",
    "api:handoff-signoff": "testing",
    "api:signoff-": "testing",
    "api:condition-": "testing",
    "handoff-signoff": "testing",
    "handoff-condition-": "testing",
    "api:handoff-signoffs": "answered",
    "api:handoff-deploy-again": "ready",
    "handoff-deploy-again": "ready",
    "api:break-glass-": "offered",
    "handoff-break-glass": "offered",
    "handoff-break-glass-withdraw": "offered",
    "api:handoff-replay": "live",
    "handoff-replay": "live",
}
# What a reading door needs to be told, or it has nothing to read.
ASKED_WITH = {
    "api:owner-of-record": "?model=tumours&environment=production",
    "api:stream-fit": "?model=tumours&version=1",
    "api:audit-inclusion": "?chain=handoff:{live}&seq=1",
    "audit-proof": "?chain=handoff:{live}&seq=1",
    "api:changes": "?since=2026-01-01&until=2099-01-01",
    "api:lead-times": "?since=2026-01-01&until=2099-01-01",
    "api:audit-consistency": "?old={sealed}",
    "blob": "?token=nothing",
    "handoff-new": "?model=tumours&version=7",
    "admin:autocomplete": "?app_label=models_registry&model_name=environmentusergrant&field_name=user&term=v",
}


def body_of(name: str, method: str) -> dict[str, Any]:
    """Return what is sent to a writing door; most ask for a reason and nothing else."""
    found: dict[str, Any] = BODIES.get(f"{name} {method}") or BODIES.get(name, REASON)
    return found


def state_for(name: str) -> str:
    """Return the state of the handoff at which a door is tried: that of the longest beginning of its name."""
    fits = [one for one in STATES if name == one or (one.endswith(("-", "replay", "signoff")) and name.startswith(one))]
    return STATES[max(fits, key=len)] if fits else "answered"
