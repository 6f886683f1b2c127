"""The whole cast does random things to one model, allowed or not, and after each of them every invariant holds.

Alone, where each act sees what the last one left; and at the same instant, over connections of their own, with commits
that stay. Whatever is refused must be refused in words: an error of the database means that a guard is missing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from inspect import signature
from pathlib import Path
from random import Random
from threading import Barrier, Lock, Thread
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from audit.actors import Worker
from audit.errors import Refused
from audit.models import Account
from audit.verification import verify
from handoff import queue
from handoff.models import BreakGlass, Deployment, Handoff, Job, Waiver
from handoff.plans import DeployReport, StopPlan, StopReport, TestReport
from handoff.queries.break_glass import sheet_for as glass_sheet
from handoff.queries.invariants import check
from handoff.queries.signing import sheet_for
from handoff.services import (
    break_glass,
    checklists,
    deployments,
    findings,
    handoffs,
    jobs,
    persons,
    policies,
    promotion_tests,
    rollbacks,
    signoffs,
    suspensions,
    waivers,
)
from handoff.states import OPEN, State
from models_registry.models import ModelVersion
from models_registry.services import delegations, roles
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by
from tests.queries.counting import proof_of

pytestmark = pytest.mark.django_db
POLICY = """
waivers: {approver: risk_compliance, max_days: 90, warn_days: 14}
break_glass: {roles: [it_operations, risk_compliance], lasts_hours: 24, confirm_minutes: 60}
"""
CAST = ("dana", "vera", "otto", "iris", "rita", "edda", "ada", "mallory")
ROLES = {"vera": "validator", "otto": "it_operations", "rita": "risk_compliance", "iris": "integration_owner"}
REQUIREMENTS = ("validation", "acceptance", "release")
person, many = st.sampled_from(CAST), st.integers(0, 5)
numbered = Lock()
done: Counter[str] = Counter()  # what was carried out in all runs, so that a machine that only gets refusals is noticed


class Cast(RuleBasedStateMachine):
    """One model between two environments. Each rule is an act that somebody tries, or work that somebody does."""

    def __init__(self, place: Place) -> None:
        """Begin with nothing offered."""
        super().__init__()
        self.place, self.version = place, 0

    def people(self, name: str) -> Account:
        """Return somebody as they are now."""
        return Account.objects.get(pk=self.place.people[name].pk)

    def tries(self, act: str, do: Callable[[], Any]) -> None:
        """Let somebody try something; what is refused changes nothing."""
        try:
            do()
        except Refused:
            done[f"{act}, refused"] += 1
        else:
            done[act] += 1

    def one(self, at: int) -> Handoff:
        """Return one of the handoffs there are."""
        rows = list(Handoff.objects.order_by("number"))
        return rows[-1 - at % len(rows)]

    def some(self) -> bool:
        """Tell whether anything was offered."""
        return self.version > 0

    @precondition(lambda self: Handoff.objects.filter(state__in=OPEN).count() < 3)
    @rule()
    def offer(self) -> None:
        """Data science offers its next version."""
        self.version += 1
        with numbered:
            number = ModelVersion.objects.count() + 1
            version = building.a_version(self.place, number, latency_p99_ms=100 + number)
        self.tries("offer", lambda: walking.offered(self.place, version))

    @precondition(some)
    @rule(at=many, who=person)
    def answer(self, at: int, who: str) -> None:
        """Somebody answers an item."""
        told = {"item": "runbook", "choice": "yes", "evidence": [walking.LINK]}
        actor, key = by(self.people(who)), str(self.one(at).pk)
        self.tries("answer", lambda: checklists.answer(actor=actor, handoff_id=key, **told))

    @precondition(some)
    @rule(
        at=many,
        who=person,
        requirement=st.sampled_from(REQUIREMENTS),
        decision=st.sampled_from(("approve", "approve", "approve", "changes", "refuse")),
    )
    def sign(self, at: int, who: str, requirement: str, decision: str) -> None:
        """Somebody signs, whoever they are."""
        self._sign(self.one(at), self.people(who), requirement, decision)

    @initialize(steps=st.integers(0, 6), second=st.integers(0, 5))
    def begin_somewhere(self, steps: int, second: int) -> None:
        """Begin with one handoff that has come some way, and perhaps with another behind it."""
        for count in (steps, second):
            self.offer()
            for _ in range(count):
                self.go_on(0)

    @precondition(some)
    @rule(at=many)
    def go_on(self, at: int) -> None:
        """Those who are asked do the next thing that is wanted of a handoff, all in good order."""
        handoff = self.one(at)
        if handoff.state == State.IN_REVIEW and not handoff.answers.exists():
            self.tries("answer all", lambda: walking.answered(self.place, handoff))
        elif handoff.state == State.IN_REVIEW:
            self._sign(handoff, self.people("vera"), "validation", "approve")
            self._sign(handoff, self.people("otto"), "acceptance", "approve")
        elif handoff.state == State.READY:
            self._sign(handoff, self.people("otto"), "release", "approve")
        else:
            self.work(good=True, times=3)

    def _sign(self, handoff: Handoff, who: Account, requirement: str, decision: str) -> None:
        def do() -> None:
            sheet = sheet_for(who, handoff.pk, requirement)
            told = {
                "comment": "No." if decision != "approve" else "",
                "reasons": ["cost"] if decision == "refuse" else [],
            }
            told |= {"decision": decision, "meaning": sheet.rule.meaning, "seen": sheet.seen}
            proof = proof_of(who)
            signoffs.sign(
                actor=by(who), handoff_id=str(handoff.pk), requirement=requirement, reauthentication=proof, **told
            )

        self.tries(f"sign {decision}", do)

    @precondition(some)
    @rule(at=many, who=person, seat=many, how=st.sampled_from((signoffs.withdraw, signoffs.revoke)))
    def take_back(self, at: int, who: str, seat: int, how: Callable[..., Any]) -> None:
        """Somebody withdraws or revokes a sign-off, their own or another's."""
        handoff = self.one(at)
        if given := list(handoff.signoffs.all()):
            told = {"signoff_id": str(given[seat % len(given)].pk), "reason": "I was wrong."}
            actor = by(self.people(who))
            self.tries(how.__name__, lambda: how(actor=actor, handoff_id=str(handoff.pk), **told))

    @precondition(some)
    @rule(at=many, who=person)
    def withdraw(self, at: int, who: str) -> None:
        """Somebody withdraws a handoff."""
        actor, key = by(self.people(who)), str(self.one(at).pk)
        self.tries("withdraw handoff", lambda: handoffs.withdraw(actor=actor, handoff_id=key, reason="A better one."))

    @rule(good=st.sampled_from((True, True, True, False)), times=st.integers(1, 8))
    def work(self, good: bool, times: int) -> None:
        """Workers do what is queued, and it goes well or not."""
        for job in list(Job.objects.filter(state="queued").order_by("queued_at")[:times]):
            self.tries(f"work {job.task}", lambda job=job: _work(job, good))  # type: ignore[misc]

    @rule(who=person, at=many)
    def roll_back(self, who: str, at: int) -> None:
        """Somebody rolls back what is live."""
        if live := _live(at):
            actor = by(self.people(who))
            self.tries(
                "roll back", lambda: deployments.roll_back(actor=actor, deployment_id=live.pk, reason="It is bad.")
            )

    @rule(who=person, at=many, lift=st.booleans())
    def suspend(self, who: str, at: int, lift: bool) -> None:
        """Somebody suspends what is live, or lifts that."""
        if live := _live(at):
            account = self.people(who)
            told = {"actor": by(account), "deployment_id": live.pk, "reason": "It answers strangely."}
            if lift:
                self.tries("lift", lambda: suspensions.lift(**told, reauthentication=proof_of(account)))
            else:
                self.tries("suspend", lambda: suspensions.suspend(**told))

    @precondition(some)
    @rule(at=many, who=person, other=person, grant=st.booleans())
    def waive(self, at: int, who: str, other: str, grant: bool) -> None:
        """Somebody asks for a waiver, and somebody answers or revokes one."""
        key, asker, answerer = self.one(at).pk, by(self.people(who)), by(self.people(other))
        told = {"kind": "item", "requirement": "runbook", "reason": "Next week.", "control": "Otto watches."}
        day = timezone.localdate() + timedelta(days=9)
        self.tries("ask for a waiver", lambda: waivers.ask(actor=asker, handoff_id=key, until=day, **told))
        waiver = Waiver.objects.filter(handoff=key, answer="").first()
        if waiver is not None:
            answer = {"waiver_id": waiver.pk, "answer": "approved" if grant else "refused"}
            self.tries(f"waiver {answer['answer']}", lambda: waivers.answer(actor=answerer, handoff_id=key, **answer))

    @precondition(some)
    @rule(at=many, who=person, other=person)
    def break_glass(self, at: int, who: str, other: str) -> None:
        """Somebody asks for break-glass, and somebody confirms it."""
        key, second = self.one(at).pk, self.people(other)
        told = {"reason": "It is down.", "incident": "INC-1"}
        self.tries("ask for break-glass", lambda: break_glass.ask(actor=by(self.people(who)), handoff_id=key, **told))
        for row in BreakGlass.objects.filter(handoff=key, state="asked"):

            def confirm(row: BreakGlass = row) -> None:
                seen = glass_sheet(second, key, row.pk).seen
                given = {"break_glass_id": row.pk, "seen": seen, "reauthentication": proof_of(second)}
                break_glass.confirm(actor=by(second), handoff_id=key, **given)

            self.tries("confirm break-glass", confirm)

    @rule(who=person, take=st.booleans())
    def change_roles(self, who: str, take: bool) -> None:
        """An administrator takes a role from somebody, or gives it."""
        if who not in ROLES:
            return
        where = {"environment": "production"} if who in ("otto", "iris") else {"model": self.place.model.slug}
        act = roles.revoke if take else roles.grant
        actor = by(self.people("ada"))
        self.tries(act.__name__, lambda: act(actor=actor, role=ROLES[who], holder=who, **where))

    @rule(who=st.sampled_from(("vera", "rita")), other=person)
    def delegate(self, who: str, other: str) -> None:
        """A holder lets somebody act for them."""
        if who not in ("vera", "rita"):
            return
        told = {"role": ROLES[who], "model": self.place.model.slug, "to": other, "reason": "On leave."}
        self.tries(
            "delegate",
            lambda: delegations.delegate(
                actor=by(self.people(who)), ends=timezone.localdate() + timedelta(days=3), **told
            ),
        )

    @rule(who=person, other=person)
    def merge(self, who: str, other: str) -> None:
        """An administrator finds that two accounts are one person's, or were not."""
        actor = by(self.people("ada"))
        if Account.objects.filter(username=who, same_person=None).exists():
            self.tries("merge", lambda: persons.merge(actor=actor, account=who, same_as=other, reason="One passport."))
        else:
            self.tries("part", lambda: persons.part(actor=actor, account=who, reason="Two passports."))

    @rule(python=st.sampled_from(("3.11.7", "3.12.1")))
    def drift(self, python: str) -> None:
        """The target changes, and a worker looks."""
        type(self.place.target).objects.filter(pk=self.place.target.pk).update(python=python)
        for handoff in list(findings.watched()):
            self.tries("drift", lambda one=handoff: findings.look(actor=Worker("drift"), handoff_id=one.pk))  # type: ignore[misc]

    @invariant()
    def everything_holds(self) -> None:
        """Ask all invariants."""
        assert check().violations == ()


class Alone(Cast):
    """The cast in one thread, in a transaction that is taken back at the end."""

    def __init__(self, place: Place) -> None:
        """Begin with nothing offered."""
        super().__init__(place)
        self.undone = transaction.atomic()
        self.undone._from_testcase = True  # as pytest-django's own: acts insist on a transaction that they end
        self.undone.__enter__()

    def teardown(self) -> None:
        """Take everything back."""
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)


def _live(at: int) -> Deployment | None:
    rows = list(Deployment.objects.filter(state="live").order_by("pk"))
    return rows[at % len(rows)] if rows else None


def _work(job: Job, good: bool) -> None:
    """Claim a job and report that it went well or not, as a worker does, without an engine."""
    claimed = jobs.claim(job.pk, "worker", task=job.task)
    if claimed is None:
        return
    actor, fence = Worker("worker"), claimed.fence
    report = DeployReport(good, "it is live" if good else "it answers nonsense", ({"step": "swap", "ok": good},))
    if job.task == queue.RUN_TEST:
        if promotion_tests.begin(job.pk, fence):
            verdict = "passed" if good else "failed"
            promotion_tests.finish(job.pk, fence, TestReport(verdict, "Done.", {}, {}, "", 0.0), actor=actor)
    elif job.task in (queue.DEPLOY, queue.CONFIRM):
        if deployments.begin(job.pk, fence):
            deployments.finish(job.pk, fence, report, actor=actor)
    elif job.task == queue.ROLL_BACK:
        if rollbacks.begin(job.pk, fence):
            rollbacks.finish(job.pk, fence, report, actor=actor)
    elif job.task == queue.STOP and isinstance(plan := suspensions.begin(job.pk, fence), StopPlan):
        suspensions.finish(job.pk, fence, plan, StopReport("" if good else "out of reach"), actor=actor)


def under_exceptions(settings: Any) -> Place:
    """Return a model and its people under a policy that knows every exception."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    place = walking.a_site()
    light = (settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
    tests = light.replace("[integrity, safety, schema, golden, performance, robustness, latency]", "[integrity]")
    policies.publish(actor=by(place.ada), source=tests + POLICY)
    return place


@pytest.fixture
def place(db: None, store: Path, settings: Any) -> Place:
    """Return what the cast acts on, for one test."""
    return under_exceptions(settings)


@pytest.fixture
def committed(transactional_db: None, store: Path, settings: Any) -> Place:
    """Return what the cast acts on, where everybody's connection sees it."""
    return under_exceptions(settings)


def test_whatever_the_cast_does_every_invariant_holds(place: Place, pytestconfig: pytest.Config) -> None:
    steps = int(pytestconfig.getoption("--steps", default=200))
    done.clear()
    run_state_machine_as_test(
        lambda: Alone(place),
        settings=how(
            max_examples=max(1, steps // 40),
            stateful_step_count=40,
            deadline=None,
            derandomize=steps <= 400,
            suppress_health_check=list(HealthCheck),
        ),
    )
    for act, count in sorted(done.items()):
        print(f"{count:6} {act}")
    wanted = {"offer", "answer all", "sign approve", "work handoff.run_test", "work handoff.deploy"}
    assert wanted <= done.keys(), done


AT_ONCE = 4
DRAWN: dict[str, Sequence[Any]] = {
    "at": (0, 0, 1, 2), "who": CAST, "other": CAST, "requirement": REQUIREMENTS,
    "decision": ("approve", "approve", "approve", "changes", "refuse"), "seat": range(6),
    "how": (signoffs.withdraw, signoffs.revoke), "good": (True, True, True, False), "times": range(1, 9),
    "lift": (True, False), "grant": (True, False), "take": (False, False, True), "python": ("3.11.7", "3.12.1"),
}  # fmt: skip
ACTS = (
    *(Cast.go_on,) * 8, *(Cast.work,) * 4, *(Cast.sign,) * 4, Cast.offer, Cast.answer, Cast.take_back, Cast.withdraw,
    Cast.roll_back, Cast.suspend, Cast.waive, Cast.break_glass, Cast.change_roles, Cast.delegate, Cast.merge,
    Cast.drift,
)  # fmt: skip


def drawn(act: Callable[..., None], by_chance: Random) -> Callable[[Cast], None]:
    """Return an act with what it is told, by chance."""
    told = {name: by_chance.choice(DRAWN[name]) for name in list(signature(act).parameters)[1:]}
    return lambda cast: act(cast, **told)


def at_once(cast: Cast, acts: Sequence[Callable[[Cast], None]]) -> list[BaseException]:
    """Let so many people act at one instant, each over a connection of their own; return what was no refusal."""
    start, wrong = Barrier(len(acts)), []

    def run(act: Callable[[Cast], None]) -> None:
        start.wait()
        try:
            act(cast)
        except Exception as problem:  # the thread's own end would hide it
            wrong.append(problem)
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


@pytest.mark.django_db(transaction=True)
def test_whatever_the_cast_does_at_one_instant_every_invariant_holds(
    committed: Place, pytestconfig: pytest.Config
) -> None:
    steps = int(pytestconfig.getoption("--steps", default=200))
    by_chance, cast = Random(steps), Cast(committed)
    done.clear()
    for _ in range(steps // AT_ONCE):
        if Handoff.objects.filter(state__in=OPEN).count() < 2:
            cast.offer()
        acts = [drawn(by_chance.choice(ACTS), by_chance) for _ in range(AT_ONCE)]
        assert at_once(cast, acts) == []
        assert check().violations == ()
    for act, count in sorted(done.items()):
        print(f"{count:6} {act}")
    assert verify().whole
    assert {"answer all", "sign approve", "work handoff.run_test", "work handoff.deploy"} <= done.keys(), done
