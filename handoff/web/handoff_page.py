"""The page of one handoff, the heart of the product, put together once for the whole page and for its fragment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from handoff.facts import rules_of
from handoff.models import Condition, ConditionStep, Handoff, Job, SignOff
from handoff.queries.differences import may_answer
from handoff.queries.gates import GateView
from handoff.queries.handoffs import HandoffView, view_of
from handoff.queries.page import acknowledgements_of, deployments_of
from handoff.rules.consumers import label_of
from handoff.rules.gates import waits_for_its_time
from handoff.rules.policies import PolicyRules, parse
from handoff.states import GATE_OF, OPEN, JobState, State
from handoff.suspending import passed_by
from handoff.web.bindings import typed_of
from handoff.web.break_glass_rows import break_glass_context
from handoff.web.checklist_rows import item_rows
from handoff.web.differences import Shown, shown_of
from handoff.web.doors import Form, account_of, is_htmx
from handoff.web.finding_rows import findings_context
from handoff.web.inbox import todo_of
from handoff.web.promotion_tests import TITLES, test_rows
from handoff.web.timeline import told
from handoff.web.tracker import stations
from handoff.web.waiver_rows import waivers_context
from models_registry.roles import Role

UNDER_WAY = (JobState.QUEUED, JobState.RUNNING)
GATE_TITLES = {"review": "Review gate", "release": "Release gate", "confirm": "Confirm gate"}
GATE_OPENS = {
    "review": "opens the promotion tests",
    "release": "opens the deployment",
    "confirm": "ends the canary and makes the version live",
}
NEWEST_EVENTS = 12
TAKING_BACK = ("withdraw_signoff", "revoke_signoff")
APART = ("test:", "replay:")  # work that is shown elsewhere


@dataclass(frozen=True, slots=True)
class GatePanel:
    """A gate with its words. `status` is that of its station: done, now, ahead or stopped."""

    view: GateView
    status: str
    title: str
    opens: str
    met: int
    total: int


@dataclass(frozen=True, slots=True)
class SignOffRow:
    """A sign-off as it is shown, with what the reader may do: take it back, or see to its conditions."""

    signoff: SignOff
    role: str
    withdraws: bool
    revokes: bool
    form: Form | None
    conditions: list["ConditionRow"]


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """A condition as it is shown, and whether the reader may show evidence, or judge it."""

    condition: Condition
    status: str
    shows: bool
    judges: bool
    form: Form | None


def show(request: HttpRequest, handoff_id: UUID, form: Form | None = None) -> HttpResponse:
    """Render the page, or its fragment for htmx; with a refused form in place and its status."""
    template = "handoff/handoffs/_body.html" if is_htmx(request) else "handoff/handoffs/detail.html"
    status = form.problem.status if form else 200
    return render(request, template, context_of(request, handoff_id, form), status=status)


def context_of(request: HttpRequest, handoff_id: UUID, form: Form | None = None) -> dict[str, Any]:
    """Return all that the page shows. Raises Hidden."""
    user = account_of(request)
    view = view_of(user, handoff_id)
    handoff, facts = view.handoff, view.known.facts
    roles = view.known.roles.get(user.pk, frozenset())
    rules = _rules(view)
    acknowledged = acknowledgements_of(handoff)
    report = handoff.report or (view.offer.report if view.offer else None)
    chosen = form.typed.getlist("difference") if form and form.name == "acknowledge" else ()  # type: ignore[attr-defined]
    usual = rules.gate("review").acknowledge if rules else ""
    shown = shown_of(
        report, acknowledged, chosen, lambda item: item.difference.asks and may_answer(handoff, roles, item, usual)
    )
    gate_now = GATE_OF.get(State(handoff.state), "")
    result = next((gate.result for gate in view.gates if gate.name == gate_now), None)
    events = told(view.events, _names(handoff, rules, shown))
    progress = progress_of(handoff, view.jobs)
    places = stations(handoff, view.gates, progress["tests"], view.events)
    at = {station.key: station.status for station in places}
    context = progress | {
        "view": view,
        "rules": rules,
        "form": form,
        "forms": {form.name: form} if form else {},
        "mine": {str(role): label_of(role) for role in sorted(roles)},
        "todos": [todo_of(task) for task in view.tasks],
        "waiting": [r for r in result.missing if r.who] if result else [],
        "stations": places,
        "under_way": handoff.state in OPEN,
        "gates": [_panel(gate, at[gate.name]) for gate in view.gates],
        "gate_now": gate_now,
        "shown": shown,
        "items": item_rows(
            rules, gate_now, view.answers, facts.holders, roles, form, [one.result for one in view.gates], facts.answers
        ),
        "consumers": view.consumers,
        "change": view.change,
        "signoffs": [_signoff(one, user.pk, view, form) for one in view.signoffs],
        "returned": getattr(handoff, "return_note", None),
        "may_withdraw": Role.DATA_SCIENTIST in roles
        and handoff.state in OPEN
        and handoff.state not in (State.DEPLOYING, State.CONFIRMING),
        "may_accept": Role.IT_OPERATIONS in roles and handoff.state == State.LIVE,
        "may_adopt": handoff.state == State.IN_REVIEW and not roles.isdisjoint((Role.VALIDATOR, Role.RISK_COMPLIANCE)),
        "may_change": Role.DATA_SCIENTIST in roles and handoff.state == State.DRAFT,
        "may_deploy_again": Role.IT_OPERATIONS in roles
        and _deployed_in_vain(handoff, view.jobs)
        and not (result and waits_for_its_time(result)),
        "events": events[:NEWEST_EVENTS],
        "older_events": events[NEWEST_EVENTS:],
        "binding": _binding(handoff, form),
    }
    context |= findings_context(handoff, user, view.known, form)
    context |= break_glass_context(view, user, rules, form)
    context |= waivers_context(handoff, user, view.known, rules, [one.result for one in view.gates], form)
    return context | {"homeless": form if form and not _has_a_place(form, context) else None}


def _has_a_place(form: Form, context: Mapping[str, Any]) -> bool:
    """Tell whether the page shows a refused form, so that the problem stands there and not above all."""
    return bool(
        {
            "answer": any(row.form and row.open for row in context["items"]),
            "acknowledge": context["shown"].counts["mine"],
            "change": context["may_change"],
            "offer": context["handoff"].state == State.DRAFT,
            "withdraw": context["may_withdraw"],
            "accept": context["may_accept"] and context["drift"],
            "raise": context["may_raise"],
            "ask": context["may_ask"],
            "glass": context["may_break_glass"],
            "waiver": any(row.form for row in context["waivers"]),
            "close": any(row.form and row.may_close for row in context["issues"]),
            "withdraw_signoff": any(row.form and row.withdraws for row in context["signoffs"]),
            "revoke_signoff": any(row.form and row.revokes for row in context["signoffs"]),
            "condition": any(one.form for row in context["signoffs"] for one in row.conditions),
        }.get(form.name)
    )


def progress_of(handoff: Handoff, jobs: list[Job]) -> dict[str, Any]:
    """Return what the fragment shows that follows tests and deployments while they run."""
    kinds = rules_of(handoff).tests if handoff.policy else ()
    rows = test_rows(kinds, jobs)
    deployments = deployments_of(handoff)
    working = [job for job in jobs if job.state in UNDER_WAY]
    return {
        "handoff": handoff,
        "tests": rows,
        "tests_ended": sum(row.ended for row in rows),
        "tests_started": any(row.job for row in rows),
        "deployments": deployments,
        "deploy_jobs": [job for job in working if not job.purpose.startswith(APART)],
        "refused_jobs": [job for job in jobs if job.error and not job.purpose.startswith(APART)],
        "follows": bool(working) or handoff.state in (State.TESTING, State.DEPLOYING, State.CONFIRMING, State.READY),
        "working": bool(working) or handoff.state in (State.TESTING, State.DEPLOYING),
    }


def _rules(view: HandoffView) -> PolicyRules | None:
    """Return the rules that were frozen; for a draft those that would be."""
    if view.handoff.policy is not None:
        return rules_of(view.handoff)
    return parse(view.offer.policy) if view.offer is not None and view.offer.policy is not None else None


def _names(handoff: Handoff, rules: PolicyRules | None, shown: Shown) -> dict[str, str]:
    """Return the words for the keys that events carry: environments, questions, differences and tests."""
    names = {key: title for key, (title, _) in TITLES.items()}
    names |= {place.slug: place.name for place in (handoff.source, handoff.target)}
    names |= shown.names()
    if rules:
        names |= {item.key: f"“{item.question}”" for gate in rules.gates.values() for item in gate.checklist}
    return names


def _binding(handoff: Handoff, form: Form | None) -> dict[str, str]:
    """Return the bindings for the form: as they were typed, else as they are."""
    stored = typed_of(handoff.bindings)
    typed = form.typed if form and form.name == "change" else {}
    return {key: str(typed.get(key, value)) for key, value in stored.items()}


def _panel(gate: GateView, status: str) -> GatePanel:
    requirements = [r for r in gate.result.requirements if r.needed]
    met = sum(r.met for r in requirements)
    return GatePanel(gate, status, GATE_TITLES[gate.name], GATE_OPENS[gate.name], met, len(requirements))


def _signoff(signoff: SignOff, user: int, view: HandoffView, form: Form | None) -> SignOffRow:
    own = view.known.facts.chain.takes_back(user, signoff.signer_id, signoff.behalf_of_id)
    mine = own and signoff.voided_at is None
    gate_now = GATE_OF.get(State(view.handoff.state), "")
    revokes = mine and signoff.gate in passed_by(view.handoff)
    open_ = form is not None and form.name in TAKING_BACK and form.about == str(signoff.pk)
    conditional = signoff.decision == SignOff.Decision.CONDITIONAL  # of these alone they were fetched
    return SignOffRow(
        signoff,
        label_of(signoff.role),
        mine and signoff.gate == gate_now,
        revokes,
        form if open_ else None,
        [_condition(one, signoff, user, view, form) for one in (signoff.conditions.all() if conditional else ())],
    )


def _condition(one: Condition, signoff: SignOff, user: int, view: HandoffView, form: Form | None) -> ConditionRow:
    """Return a condition as somebody sees it; whether they may judge it is for the service to say in the end."""
    last = list(one.steps.all())[-1:]
    status = last[0].kind if last else "open"
    if status != ConditionStep.Kind.ACCEPTED and one.due_at <= timezone.now():
        status = "overdue"
    standing = signoff.voided_at is None and not (last and last[0].kind == ConditionStep.Kind.ACCEPTED)
    side = view.known.holds(user, signoff.role)
    reported = bool(last) and last[0].kind == ConditionStep.Kind.REPORTED
    chain = view.known.facts.chain
    mine = chain.seat(signoff.role, user)
    judges = standing and side and reported and not chain.people(last[0].taken_by_id) & mine
    open_ = form is not None and form.name == "condition" and form.about == str(one.pk)
    shows = standing and (side or one.owner_id == user)
    return ConditionRow(one, str(status), shows, judges, form if open_ else None)


def _deployed_in_vain(handoff: Handoff, jobs: list[Job]) -> bool:
    """Tell whether a deployment ended without effect, so that the button is of use."""
    if handoff.state not in (State.READY, State.CONFIRMING):
        return False
    gate = "release" if handoff.state == State.READY else "confirm"
    mine = [job for job in jobs if job.gate == gate and not job.purpose.startswith("restore")]
    return bool(mine) and not any(job.state in UNDER_WAY for job in mine)
