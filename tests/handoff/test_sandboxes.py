"""The level of the sandbox: recorded with each result, shown, signed, and never silently lowered."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError
from rest_framework.test import APIClient

from audit.models import AuditEvent
from engine import runner as running
from engine.sandbox import ladder
from engine.sandbox.levels import APART, ENCLOSED, FILTERED, LEVELS, NONE, Level
from handoff import tasks
from handoff.errors import Invalid, SandboxTooLow
from handoff.executors import testing
from handoff.executors.errors import ExecutorError
from handoff.facts import known_of
from handoff.models import Handoff, PolicyRevision, PromotionTest, Return
from handoff.plans import TestReport
from handoff.rules.gates import Facts, TestFact, evaluate
from handoff.rules.policies import digest_of, parse
from handoff.rules.policy_changes import demands
from handoff.rules.policy_terms import TESTS
from handoff.rules.scopes import digest
from handoff.rules.subjects import Subject
from handoff.rules.unions import union
from handoff.services import jobs, promotion_tests
from handoff.states import State
from tests.handoff import artifacts, building, walking
from tests.handoff.test_gates_rules import PARTS
from tests.handoff.test_promotion_tests_joins import ACTOR, claimed
from tests.handoff.test_promotion_tests_kinds import a_plan
from tests.handoff.test_retention import LIGHT


def let_pass(handoff: Handoff, sandbox: Level) -> None:
    """Let the tests of a handoff pass in a sandbox, without running anything."""
    for kind in ("golden", "integrity"):
        job = claimed(handoff, kind)
        assert promotion_tests.begin(job.pk, job.fence) is not None
        report = TestReport("passed", "It went well.", {"n": 3}, {}, "", 0.1, sandbox)
        promotion_tests.finish(job.pk, job.fence, report, actor=ACTOR)
    handoff.refresh_from_db()


# What runs.


@pytest.mark.parametrize("kind", ["golden", "safety"])
def test_a_test_runs_on_the_level_that_is_found_and_says_so(kind: str, tmp_path: Path) -> None:
    level = testing.level_in_force(apart=False)
    assert level == ladder.found().level
    report = testing.run(a_plan(tmp_path, kind, artifacts.elements()), seconds=60, memory_mb=2048, level=level)
    assert (report.verdict, report.sandbox) == ("passed", level)
    assert report.log.startswith(f"Sandbox {level}: ")


def test_a_host_of_its_own_is_declared_and_never_assumed(tmp_path: Path) -> None:
    assert ladder.found().level != APART
    assert testing.level_in_force(apart=True) == APART
    plan = a_plan(tmp_path, "schema", artifacts.elements())
    assert testing.run(plan, seconds=60, memory_mb=2048, level=APART).sandbox == APART


@pytest.mark.parametrize("kind", ["golden", "safety"])
def test_a_level_that_is_lost_is_tried_again_and_gives_no_result(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.sandbox.bubblewrap.program", lambda: "/bin/false")
    plan = a_plan(tmp_path, kind, artifacts.elements())
    with pytest.raises(ExecutorError, match="L2 cannot be had") as refusal:
        testing.run(plan, seconds=60, memory_mb=2048, level=ENCLOSED)
    assert not refusal.value.permanent


def test_what_a_model_should_answer_never_enters_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the model's place writes down all that it is told, and passes nothing."""
    heard = tmp_path / "heard"
    shutil.copytree(running.ROOT / "engine", tmp_path / "evil" / "engine")
    (tmp_path / "evil/engine/runner_child.py").write_text(
        "import json, sys\n"
        "print(json.dumps({'ok': {}}), flush=True) if sys.stdin.readline() else None\n"
        "asked = json.loads(sys.stdin.readline())['records']\n"
        f"open({str(heard)!r}, 'w').write(json.dumps([sys.argv, asked]))\n"
        "print(json.dumps({'ok': {'outputs': [{'label': 0, 'probabilities': [1.0, 0.0]}] * len(asked)}}), flush=True)\n"
        "sys.stdin.read()\n"
    )
    monkeypatch.setattr(running, "ROOT", tmp_path / "evil")
    content = artifacts.elements()
    report = testing.run(a_plan(tmp_path / "store", "golden", content), seconds=60, memory_mb=2048)
    arguments, asked = json.loads(heard.read_text())
    pairs = [json.loads(line) for line in content["golden"].splitlines()]
    assert asked == [pair["input"] for pair in pairs]
    assert "golden" not in str(arguments)
    assert report.verdict == "failed"


# What is recorded.


@pytest.mark.django_db(transaction=True)
def test_the_level_is_recorded_with_the_result_and_shown_everywhere(under_test: Any, place: building.Place) -> None:
    handoff = under_test()
    let_pass(handoff, ENCLOSED)
    assert set(PromotionTest.objects.values_list("sandbox", flat=True)) == {ENCLOSED}
    client = walking.client_of(place.dana)
    assert "bubblewrap around Landlock" in client.get(f"/handoffs/{handoff.pk}/").content.decode()
    api = APIClient()
    api.force_authenticate(place.dana)
    jobs = api.get(f"/api/v1/handoffs/{handoff.pk}/").json()["jobs"]
    assert {job["result"]["sandbox"] for job in jobs if job["result"]} == {ENCLOSED}
    finished = AuditEvent.objects.filter(action="test.finished")
    assert [event.told["data"]["sandbox"] for event in finished] == [ENCLOSED, ENCLOSED]


@pytest.mark.django_db(transaction=True)
def test_the_worker_records_what_is_in_force_or_declared(under_test: Any, settings: Any) -> None:
    handoff = under_test()
    for kind, apart in (("golden", False), ("integrity", True)):
        settings.RUNNER_HOST_APART = apart
        tasks.run_test(str(handoff.jobs.get(purpose=f"test:{kind}").pk))
    recorded = dict(PromotionTest.objects.values_list("kind", "sandbox"))
    assert recorded == {"golden": ladder.found().level, "integrity": APART}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("level", [NONE, ENCLOSED])
def test_signatures_cover_the_level_and_old_ones_stay_what_they_were(under_test: Any, level: Level) -> None:
    handoff = under_test()
    let_pass(handoff, level)
    rows = [[kind, "passed", handoff.version.digest, {"n": 3}] for kind in ("golden", "integrity")]
    covered = rows if level == NONE else [[*row, level] for row in rows]
    assert known_of(handoff).facts.parts["results"] == digest(covered)


# What a policy asks for.


def least(level: Any, **more: Any) -> dict[str, Any]:
    """Return the light policy, with a least level."""
    return {**LIGHT, "sandbox": {"least": level}, **more}


def test_a_policy_names_the_least_level_and_nothing_said_is_none() -> None:
    assert parse(LIGHT).sandbox.least == NONE
    assert parse(least(ENCLOSED)).sandbox.least == ENCLOSED
    assert "tests in sandbox L2 at least" in demands(parse(least(ENCLOSED))).values()
    assert demands(parse(least(NONE))) == demands(parse(LIGHT))


@pytest.mark.parametrize(("raw", "place"), [({"least": "L4"}, "sandbox.least"), ({"least": 2}, "sandbox.least"),
                                            ({"most": "L1"}, "sandbox.most"), ("L1", "sandbox")])  # fmt: skip
def test_what_is_no_level_is_refused_with_its_place(raw: Any, place: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse(LIGHT | {"sandbox": raw})
    assert any(told.startswith(place) for told in refusal.value.fields)


@pytest.mark.parametrize(("one", "other", "both"), [(NONE, FILTERED, FILTERED), (APART, ENCLOSED, APART)])
def test_of_policies_that_apply_together_the_higher_level_holds(one: Level, other: Level, both: Level) -> None:
    united = union([(least(one), 1), (least(other, policy="other"), 1)], Subject("production", "low"))
    assert parse(united).sandbox.least == both
    plain = union([(least(other), 1), (LIGHT | {"policy": "other"}, 1)], Subject("production", "low"))
    assert parse(plain).sandbox.least == other
    assert "sandbox" not in union([(LIGHT, 1), (LIGHT | {"policy": "b"}, 1)], Subject("production", "low"))


@pytest.mark.parametrize("ran", LEVELS)
@pytest.mark.parametrize("asked", LEVELS)
def test_a_result_from_a_lower_sandbox_does_not_count(ran: Level, asked: Level) -> None:
    facts = Facts("d", PARTS, tests={kind: TestFact("passed", "d", ran) for kind in TESTS})
    rules = parse(least(asked))
    found = [one for one in evaluate("release", rules, facts).requirements if one.kind == "test"]
    enough = LEVELS.index(ran) >= LEVELS.index(asked)
    assert found
    assert all(one.met is enough for one in found)
    assert enough or f"ran in sandbox {ran}, and the policy asks for {asked}" in found[0].why


@pytest.fixture
def asks_for_l2(under_test: Any) -> Handoff:
    """Return a handoff whose tests wait, under a policy that asks for L2."""
    policy = building.a_policy(("integrity", "golden"))
    content = policy.content | {"sandbox": {"least": ENCLOSED}}
    higher = PolicyRevision.objects.create(
        policy=policy.policy, number=policy.number + 1, source="{}", content=content, digest=digest_of(content)
    )
    return under_test(policy=higher)


@pytest.mark.django_db(transaction=True)
def test_a_job_below_the_least_level_is_refused_and_the_handoff_goes_back(asks_for_l2: Handoff) -> None:
    for kind in ("golden", "integrity"):
        for _ in range(3):
            job = claimed(asks_for_l2, kind)
            with pytest.raises(SandboxTooLow, match="in sandbox L1, and the policy asks for L2") as refusal:
                promotion_tests.begin(job.pk, job.fence, sandbox=FILTERED)
            assert (refusal.value.code, refusal.value.status) == ("sandbox_too_low", 503)
            assert "docs/operations.md" in refusal.value.todo
            jobs.release(job.pk, job.fence, f"SandboxTooLow: {refusal.value.message}")
    asks_for_l2.refresh_from_db()
    assert asks_for_l2.state == State.RETURNED
    assert not PromotionTest.objects.exists()
    assert "asks for L2" in Return.objects.get(handoff=asks_for_l2).comment


@pytest.mark.django_db(transaction=True)
def test_a_result_below_the_least_level_is_kept_by_nobody(asks_for_l2: Handoff) -> None:
    job = claimed(asks_for_l2, "golden")
    assert promotion_tests.begin(job.pk, job.fence, sandbox=ENCLOSED) is not None
    report = TestReport("passed", "Well.", {}, {}, "", 0.1, FILTERED)
    with pytest.raises(SandboxTooLow):
        promotion_tests.finish(job.pk, job.fence, report, actor=ACTOR)
    assert not PromotionTest.objects.exists()
    row = {"handoff": asks_for_l2, "job": job, "kind": "golden", "verdict": "passed", "summary": "Well.", "figures": {},
           "thresholds": {}, "seconds": 0.1, "fence": job.fence, "version_digest": asks_for_l2.version.digest,
           "worker": "w"}  # fmt: skip
    with pytest.raises(IntegrityError, match="lower sandbox than the policy asks for"):
        PromotionTest.objects.create(**row, sandbox=FILTERED)
    with pytest.raises(IntegrityError, match="sandbox_known"):
        PromotionTest.objects.create(**row, sandbox="L9")
    assert not PromotionTest.objects.exists()
    assert list(LEVELS) == sorted(LEVELS), "as the trigger takes for granted"
    assert PromotionTest.objects.create(**row, sandbox=APART).pk


@pytest.mark.django_db(transaction=True)
def test_a_worker_of_the_level_takes_it_and_the_handoff_goes_on(asks_for_l2: Handoff) -> None:
    for kind in ("golden", "integrity"):
        job = claimed(asks_for_l2, kind)
        assert promotion_tests.begin(job.pk, job.fence, sandbox=ENCLOSED) is not None
        report = TestReport("passed", "It went well.", {"n": 3}, {}, "", 0.1, ENCLOSED)
        promotion_tests.finish(job.pk, job.fence, report, actor=ACTOR)
    asks_for_l2.refresh_from_db()
    assert asks_for_l2.state == State.READY
