"""Contract replays as records, without an engine: what is ordered, what a worker gets, what is kept, and for whom."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from audit.actors import Worker
from audit.errors import Refused
from audit.models import AuditEvent
from handoff.errors import Hidden
from handoff.models import Evidence, Handoff, Job, Replay
from handoff.plans import ReplayPlan, ReplayReport
from handoff.services import checklists, jobs, replays
from handoff.states import JobState, State
from models_registry.models import EnvironmentUserGrant, Stream
from models_registry.services import streams
from models_registry.store import path_of
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by

pytestmark = pytest.mark.django_db
INLINE = {"transport": "inline", "location": {"records": [{"radius": 1.0}]}}
SEALED = {"label": [1e-5, 1e-4], "probabilities": [1e-5, 1e-4]}
SOURCES = (("workbench", "measurements"), ("production", "patients"), ("production", "others"))


@pytest.fixture
def site(db: None, store: Path, settings: Any) -> Place:
    """Return a place with the light policy, one source in creation, two in production, and what is no source."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    site = walking.a_site()
    building._grant(EnvironmentUserGrant, site.otto, "it_operations", site.source)
    for where, slug in SOURCES:
        declared(site, where, slug, INLINE)
    declared(site, "production", "endpoint", {"transport": "http", "encoding": "json"})
    declared(site, "production", "gone", {"transport": "discard"}, "sink")
    return site


def declared(site: Place, where: str, slug: str, descriptor: dict[str, Any], direction: str = "source") -> None:
    told = {"slug": slug, "direction": direction, "descriptor": descriptor, "owner": "otto"}
    streams.declare(actor=by(site.otto), environment=where, **told)


@pytest.fixture
def handoff(site: Place) -> Handoff:
    """Return a handoff in review."""
    return walking.offered(site, building.a_version(site))


@pytest.fixture
def beside(site: Place) -> Handoff:
    """Return another handoff of the same model, of which a replay is under way and two have ended, equal."""
    other = walking.offered(site, building.a_version(site, 2, "other"))
    for _ in range(2):
        ended(ordered(other, site))
    ordered(other, site)
    return other


def ordered(handoff: Handoff, site: Place, **more: Any) -> Replay:
    return replays.order(actor=by(site.otto), handoff_id=handoff.pk, **{"production": "patients", **more})


def claimed(replay: Replay) -> Job:
    job = jobs.claim(replay.job_id, "robot", task=replay.job.task)
    assert job is not None
    return job


def ended(replay: Replay, report: ReplayReport | None = None) -> Replay:
    """Let a worker end a replay, with equal sides if nothing else is said."""
    job = claimed(replay)
    report = report or ReplayReport({"equal": True, "compared": 12})
    replays.finish(job.pk, job.fence, report, actor=Worker("robot"))
    replay.refresh_from_db()
    return replay


def told(replay: Replay, action: str) -> tuple[str, dict[str, Any], str]:
    """Return who did it, what the trail says of it, and why."""
    event = AuditEvent.objects.get(chain=f"handoff:{replay.handoff_id}", action=action, subject=f"replay:{replay.pk}")
    return event.actor_label, event.told["data"], event.told["reason"]


def pinned(slug: str) -> dict[str, Any]:
    """Return a source as a replay keeps it."""
    one = Stream.objects.get(slug=slug)
    return {
        "environment": one.environment.slug, "stream": slug, "digest": one.digest, "descriptor": one.descriptor,
    }  # fmt: skip


def test_both_sources_are_pinned_and_the_sealed_tolerance_holds(beside: Handoff, handoff: Handoff, site: Place) -> None:
    replay = ordered(handoff, site, keys=["radius"], tolerances={"area": [1, 0.5]})
    replay.refresh_from_db()
    assert (replay.number, replay.handoff, replay.ordered_by) == (1, handoff, site.otto)
    assert (replay.creation, replay.production) == (pinned("measurements"), pinned("patients"))
    assert (replay.keys, replay.tolerances, replay.output_tolerances) == (["radius"], {"area": [1.0, 0.5]}, SEALED)
    assert (replay.version_digest, replay.outcome) == (handoff.version.digest, "")
    assert (replay.job.handoff, replay.job.purpose, replay.job.gate) == (handoff, "replay:1", "")
    sides = {side: {key: pinned(slug)[key] for key in ("stream", "digest")}
             for side, slug in (("creation", "measurements"), ("production", "patients"))}  # fmt: skip
    assert told(replay, "replay.ordered") == ("Otto", {"number": 1, **sides}, "")


def test_a_tolerance_of_the_outputs_takes_the_place_of_the_sealed_one(handoff: Handoff, site: Place) -> None:
    assert ordered(handoff, site, output_tolerances={"label": (9, 0)}).output_tolerances == {"label": [9.0, 0.0]}


def test_without_any_sealed_tolerance_outputs_are_equal(handoff: Handoff, site: Place) -> None:
    for number, tolerance in ((3, {}), (4, {"absolute": 0, "relative": 0})):
        version = building.a_version(site, number, tolerance=tolerance)
        assert ordered(walking.offered(site, version), site).output_tolerances == {}
    version = building.a_version(site, 5, tolerance={"relative": 0.5})
    assert ordered(walking.offered(site, version), site).output_tolerances == {key: [0.0, 0.5] for key in SEALED}


def test_the_source_of_the_bindings_is_the_one_that_is_replayed(site: Place) -> None:
    bindings = {"mode": "batch", "input": {"stream": "others"}, "outputs": [{"stream": "gone"}]}
    handoff = walking.drafted(site, bindings=bindings)
    replay = replays.order(actor=by(site.edda), handoff_id=handoff.pk)
    assert (replay.production["stream"], replay.ordered_by) == ("others", site.edda)


WORDS = "must name fields of the schema, at most 50: "
PAIR = "must name a field and have two numbers from 0: absolute and relative"
ENDPOINT = "endpoint is the engine's own endpoint and holds no records; name another source"
ODD: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"creation": "none"}, {"creation": "Workbench has no source none"}),
    ({"creation": "patients"}, {"creation": "Workbench has no source patients"}),
    ({"production": "none"}, {"production": "Production has no source none"}),
    ({"production": "gone"}, {"production": "Production has no source gone"}),
    ({"production": ""}, {"production": "name one of the sources of Production"}),
    ({"production": "endpoint"}, {"production": ENDPOINT}),
    ({"keys": ["girth", "radius", "x" * 300]}, {"keys": WORDS + f"girth, {'x' * 193}"}),
    ({"keys": ["radius"] * 51}, {"keys": WORDS}),
    ({"tolerances": {"girth": [0, 0]}}, {"tolerances.girth": PAIR}),
    ({"tolerances": {"label": [0, 0]}}, {"tolerances.label": PAIR}),
    ({"output_tolerances": {"radius": [0, 0]}}, {"output_tolerances.radius": PAIR}),
    ({"tolerances": {"x" * 65: [0, 0]}}, {f"tolerances.{'x' * 64}": PAIR}),
    *(({"tolerances": {"radius": odd, "area": [0, 0]}}, {"tolerances.radius": PAIR})
      for odd in ([0], [0, 0, 0], [-1, 0], [0, -0.1], [0, float("inf")], [0, "1"], [0, True], "00", 7)),
    ({"creation": "none", "keys": ["girth"], "tolerances": {"girth": []}},
     {"creation": "Workbench has no source none", "keys": WORDS + "girth", "tolerances.girth": PAIR}),
]  # fmt: skip


def test_every_odd_place_is_named_in_one_answer(handoff: Handoff, site: Place) -> None:
    events = AuditEvent.objects.count()
    for more, fields in ODD:
        with pytest.raises(Refused) as refusal:
            ordered(handoff, site, **more)
        assert (refusal.value.code, refusal.value.fields) == ("invalid", fields), more
    assert (handoff.replays.count(), handoff.jobs.count(), AuditEvent.objects.count()) == (0, 0, events)


def test_as_many_keys_as_may_be_are_taken(handoff: Handoff, site: Place) -> None:
    assert len(ordered(handoff, site, keys=["radius"] * 50).keys) == 50


def test_a_source_that_was_retired_and_one_of_another_place_do_not_count(handoff: Handoff, site: Place) -> None:
    Stream.objects.filter(slug="others").update(retired_at=timezone.now())
    Stream.objects.filter(slug="endpoint").update(retired_at=timezone.now())
    assert ordered(handoff, site, production="").production["stream"] == "patients"


def test_what_is_over_is_not_replayed(handoff: Handoff, site: Place) -> None:
    Handoff.objects.filter(pk=handoff.pk).update(state=State.WITHDRAWN)
    with pytest.raises(Refused, match="A handoff that is withdrawn is not replayed") as refusal:
        ordered(handoff, site)
    assert refusal.value.code == "wrong_state"
    assert not handoff.replays.exists()


def test_one_at_a_time_of_one_handoff_and_then_the_next_number(beside: Handoff, handoff: Handoff, site: Place) -> None:
    first = ordered(handoff, site)
    for _ in range(2):
        with pytest.raises(Refused, match="A replay of this handoff is under way") as refusal:
            ordered(handoff, site)
        assert (refusal.value.code, refusal.value.todo) == ("under_way", "Wait for it to end.")
        first.job.refresh_from_db()
        if first.job.state == JobState.QUEUED:
            job = claimed(first)
    replays.finish(job.pk, job.fence, ReplayReport({"equal": False}), actor=Worker("robot"))
    assert [ended(ordered(handoff, site)).number, ordered(handoff, site).number] == [2, 3]


def test_those_who_may_order_are_named_to_others(handoff: Handoff, site: Place) -> None:
    with pytest.raises(Refused) as refusal:
        replays.order(actor=by(site.vera), handoff_id=handoff.pk)
    assert (refusal.value.status, refusal.value.todo) == (403, "Ask one of them: Edda, Otto.")
    building.ended(EnvironmentUserGrant, user__in=[site.otto, site.edda])
    with pytest.raises(Refused) as refusal:
        replays.order(actor=by(site.vera), handoff_id=handoff.pk)
    assert refusal.value.todo == "Ask one of them: nobody holds these roles yet."
    for who, which in ((site.mallory, handoff.pk), (site.otto, uuid4())):
        with pytest.raises(Hidden):
            replays.order(actor=by(who), handoff_id=which)
    assert not handoff.replays.exists()


def test_a_worker_gets_all_that_the_engine_needs(handoff: Handoff, site: Place) -> None:
    replay = ordered(handoff, site, keys=["radius"], tolerances={"area": [1, 0]})
    job = claimed(replay)
    plan = replays.begin(job.pk, job.fence)
    assert isinstance(plan, ReplayPlan)
    version = handoff.version
    assert (plan.job_id, plan.fence, plan.engine_url) == (str(job.pk), job.fence, "http://engine.example")
    assert (plan.model, plan.version, plan.digest, plan.manifest) == ("tumours", "1", version.digest, version.manifest)
    assert set(plan.blobs) == set(version.elements.values_list("blob_id", flat=True))
    assert (plan.creation, plan.production) == (INLINE | plan.creation, INLINE | plan.production)
    assert (plan.keys, plan.tolerances, plan.output_tolerances) == (("radius",), {"area": [1.0, 0.0]}, SEALED)
    replay.refresh_from_db()
    assert replay.ended_at is None


def test_what_is_damaged_or_has_no_engine_is_not_replayed(handoff: Handoff, site: Place, settings: Any) -> None:
    golden = handoff.version.elements.get(name="golden")
    file = Path(settings.STORE) / path_of(golden.blob_id)
    whole = file.read_bytes()
    file.chmod(0o644)
    for change, why in (
        (lambda: file.write_bytes(b"other"), "the element golden in the store does not hash to "),
        (lambda: settings.ENGINE_URLS.clear(), "Production has no engine that we know the address of. Add production="),
    ):
        change()
        replay = ordered(handoff, site)
        job = claimed(replay)
        assert replays.begin(job.pk, job.fence) is None
        replay.refresh_from_db()
        job.refresh_from_db()
        assert (job.state, job.error, replay.outcome) == (JobState.REFUSED, replay.error, "failed")
        assert why in replay.error
        assert told(replay, "replay.ended") == ("robot", {"number": replay.number, "outcome": "failed"}, replay.error)
        file.write_bytes(whole)


LARGE = "The report is too large to be kept; compare fewer fields or records."
REPORTS: list[tuple[ReplayReport, str, str]] = [
    (ReplayReport({"equal": True}), "equal", ""),
    (ReplayReport({"equal": False}), "not_equal", ""),
    (ReplayReport({"equal": 1}), "not_equal", ""),
    (ReplayReport({}), "not_equal", ""),
    (ReplayReport({"equal": True}, error="It broke."), "failed", "It broke."),
    (ReplayReport({"x": "y" * ((2 << 20) - 8)}), "not_equal", ""),  # eight bytes are around it
    (ReplayReport({"x": "y" * ((2 << 20) - 7)}), "failed", LARGE),
]


def test_what_the_engine_told_is_kept(beside: Handoff, handoff: Handoff, site: Place) -> None:
    for number, (report, outcome, error) in enumerate(REPORTS, 1):
        replay = ended(ordered(handoff, site), report)
        assert (replay.outcome, replay.error) == (outcome, error)
        assert replay.report == (None if error else report.content)
        assert replay.ended_at is not None
        replay.job.refresh_from_db()
        assert (replay.job.state, replay.job.error) == (JobState.DONE, report.error)
        assert told(replay, "replay.ended") == ("robot", {"number": number, "outcome": outcome}, error)
    assert {one.outcome for one in beside.replays.all()} == {"equal", ""}


def test_a_late_worker_keeps_nothing(handoff: Handoff, site: Place) -> None:
    replay = ordered(handoff, site)
    job = claimed(replay)
    with pytest.raises(Refused):
        replays.begin(job.pk, job.fence - 1)
    with pytest.raises(Refused):
        replays.finish(job.pk, job.fence - 1, ReplayReport({"equal": True}), actor=Worker("slow"))
    replay.refresh_from_db()
    assert replay.outcome == ""


def offered(handoff: Handoff, site: Place, number: Any, label: str = "") -> Evidence:
    """Answer the first item of the review with a replay."""
    item = walking.rules_of(handoff).gate("review").checklist[0]
    evidence = [{"kind": "replay", "replay": number, "label": label}, walking.LINK, walking.FIGURE]
    who = site.dana if item.role == "data_scientist" else site.edda
    told = {"item": item.key, "choice": "yes", "evidence": evidence}
    return checklists.answer(actor=by(who), handoff_id=str(handoff.pk), **told).evidence.get(kind="replay")


def test_an_equal_replay_is_evidence_under_its_own_words_or_others(
    beside: Handoff, handoff: Handoff, site: Place
) -> None:
    replay = ended(ordered(handoff, site))
    row = offered(handoff, site, 1)
    assert (row.replay, row.figure) == (replay, 1.0)
    assert row.label == "Replay 1: 12 records equal, measurements of workbench and patients"
    assert offered(handoff, site, 1, "The whole of May").label == "The whole of May"
    ended(ordered(handoff, site), ReplayReport({"equal": True}))
    assert offered(handoff, site, 2).label.startswith("Replay 2: 0 records equal, ")


def test_what_is_no_number_of_a_replay_of_this_handoff_is_no_evidence(
    beside: Handoff, handoff: Handoff, site: Place
) -> None:
    ended(ordered(handoff, site))
    for number in (0, -1, 2, 1 << 31, 1 << 80, "1", True, 1.0, None):
        with pytest.raises(Refused, match="This handoff has no such replay") as refusal:
            offered(handoff, site, number)
        assert refusal.value.fields == {"evidence[0].replay": "must be the number of a replay"}
    assert not Evidence.objects.exists()


def test_what_proves_nothing_is_no_evidence_and_says_why(handoff: Handoff, site: Place) -> None:
    replay = ordered(handoff, site)
    words = [refused(handoff, site, 1)]
    ended(replay, ReplayReport({"equal": False}))
    words.append(refused(handoff, site, 1))
    ended(ordered(handoff, site))
    assert words == ["replay 1 is under way", "replay 1 is not equal"]
    for slug, where in (("patients", "production"), ("measurements", "workbench")):
        streams.change(
            actor=by(site.otto), environment=where, stream=slug, descriptor={**INLINE, "batch": {"records": 7}}
        )
        moved = "patients" if where == "production" else "measurements, patients"
        assert refused(handoff, site, 2, "replay_outdated") == f"{moved} changed since; order another replay"


def refused(handoff: Handoff, site: Place, number: int, code: str = "invalid") -> str:
    with pytest.raises(Refused) as refusal:
        offered(handoff, site, number)
    assert refusal.value.code == code
    return str(refusal.value.fields["evidence[0].replay"])
