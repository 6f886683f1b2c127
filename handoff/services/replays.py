"""Order contract replays, let a worker have the target's engine carry them out, and keep what came of them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Max
from django.utils import timezone

from audit.actors import Actor, Person, ServiceAccount, Worker
from audit.acts import act
from audit.trail import record
from handoff import queue
from handoff.access import lock_handoff
from handoff.deploy_plans import damage_in, engine_url, links_to
from handoff.errors import Invalid, Unavailable, WrongRole, WrongState
from handoff.facts import Known
from handoff.in_force import bindings_of
from handoff.leases import end, hold
from handoff.models import Handoff, Replay
from handoff.moves import chain_of
from handoff.outcomes import WAITING
from handoff.plans import ReplayPlan, ReplayReport
from handoff.states import OPEN, JobState, State
from models_registry.models import Environment, ModelVersion, Stream
from models_registry.roles import Role

MAY = (Role.IT_OPERATIONS, Role.ANALYTIC_ENGINEER)
MOST_KEYS = 50
LARGEST_REPORT = 2 << 20
Tolerances = Mapping[str, Sequence[float]]


@act
def order(
    *,
    actor: Person | ServiceAccount,
    handoff_id: UUID | str,
    creation: str = "",
    production: str = "",
    keys: Sequence[str] = (),
    tolerances: Tolerances | None = None,
    output_tolerances: Tolerances | None = None,
) -> Replay:
    """Order a replay of a handoff that is open or live: one source of each environment, read to its present end.

    Left out, the sources are the one that the bindings name and the only one of the creation environment. A tolerance
    is absolute and relative, by field; left out, inputs are equal and outputs within the version's sealed tolerance.
    IT operations and analytic engineers of the target order it, since examples of its data stand in the report.

    Raises Hidden, WrongRole, WrongState (`under_way`) or Invalid with every odd place.
    """
    handoff, known = lock_handoff(actor, handoff_id)
    _require(actor, known)
    if handoff.state not in (*OPEN, State.LIVE):
        raise WrongState(f"A handoff that is {State(handoff.state).label} is not replayed any more.")
    if handoff.jobs.filter(task=queue.REPLAY, state__in=WAITING).exists():
        raise WrongState("A replay of this handoff is under way.", code="under_way", todo="Wait for it to end.")
    named = production or str(bindings_of(handoff).get("input", {}).get("stream", ""))
    wrong: dict[str, str] = {}
    sides = [
        _side("creation", handoff.source, creation, wrong),
        _side("production", handoff.target, named, wrong),
    ]
    inputs, outputs = (_fields(handoff.version, name) for name in ("input_schema", "output_schema"))
    _check_names("keys", list(keys), inputs, wrong)
    given = {"tolerances": (tolerances, inputs), "output_tolerances": (output_tolerances, outputs)}
    read = {place: _tolerances(place, told, known_fields, wrong) for place, (told, known_fields) in given.items()}
    if wrong:
        raise Invalid("The replay cannot be ordered like this.", fields=wrong)
    if output_tolerances is None:
        read["output_tolerances"] = _sealed(handoff.version, outputs)
    number = (handoff.replays.aggregate(last=Max("number"))["last"] or 0) + 1
    job = queue.enqueue(handoff, gate="", task=queue.REPLAY, purposes=[f"replay:{number}"])[0]
    replay = Replay.objects.create(
        handoff=handoff,
        number=number,
        job=job,
        version_digest=handoff.version.digest,
        creation=sides[0],
        production=sides[1],
        keys=list(keys),
        ordered_by=actor.user,
        **read,
    )
    told = {side: {key: one[key] for key in ("stream", "digest")} for side, one in zip(SIDES, sides, strict=True)}
    record("replay.ordered", actor=actor, on=replay, chain=chain_of(handoff), data={"number": number, **told})
    return replay


SIDES = ("creation", "production")


@act
def begin(job_id: UUID | str, fence: int) -> ReplayPlan | None:
    """Return the order for the target's engine; None, with the replay ended, if it cannot be given.

    Raises LeaseLost.
    """
    handoff, job = hold(job_id, fence)
    replay = Replay.objects.get(job=job)
    version = ModelVersion.objects.prefetch_related("elements").get(pk=handoff.version_id)
    why = "; ".join(damage_in(version))
    try:
        url = engine_url(handoff.target)
    except Unavailable as error:
        url, why = "", f"{error.message} {error.todo}"
    if why:
        end(job, JobState.REFUSED, error=why)
        _end(handoff, replay, ReplayReport(error=why), actor=None)
        return None
    return ReplayPlan(
        job_id=str(job_id),
        fence=fence,
        engine_url=url,
        model=handoff.model.slug,
        version=str(version.number),
        digest=version.digest,
        manifest=version.manifest,
        blobs=links_to(version),
        creation=replay.creation["descriptor"],
        production=replay.production["descriptor"],
        keys=tuple(replay.keys),
        tolerances=replay.tolerances,
        output_tolerances=replay.output_tolerances,
    )


@act
def finish(job_id: UUID | str, fence: int, report: ReplayReport, *, actor: Actor) -> None:
    """Keep what became of a replay. Raises LeaseLost for a late holder."""
    handoff, job = hold(job_id, fence)
    end(job, JobState.DONE, error=report.error)
    _end(handoff, Replay.objects.get(job=job), report, actor=actor)


def _end(handoff: Handoff, replay: Replay, report: ReplayReport, *, actor: Actor | None) -> None:
    content, error = report.content, report.error
    if not error and len(orjson.dumps(content)) > LARGEST_REPORT:
        content, error = None, "The report is too large to be kept; compare fewer fields or records."
    if error or content is None:
        outcome, content = Replay.Outcome.FAILED, None
    else:
        outcome = Replay.Outcome.EQUAL if content.get("equal") is True else Replay.Outcome.NOT_EQUAL
    replay.outcome, replay.report, replay.error = outcome, content, error
    replay.ended_at = timezone.now()
    replay.save(update_fields=["outcome", "report", "error", "ended_at"])
    record(
        "replay.ended",
        actor=actor or Worker(replay.job.worker),
        on=replay,
        chain=chain_of(handoff),
        data={"number": replay.number, "outcome": str(outcome)},
        reason=error,
    )


def _require(actor: Person | ServiceAccount, known: Known) -> None:
    if not any(known.holds(actor.user.pk, role) for role in MAY):
        who = sorted({name for role in MAY for name in known.facts.holders.get(role, {}).values()})
        raise WrongRole(
            "A replay shows data of the target; IT operations or an analytic engineer orders it.",
            todo=f"Ask one of them: {', '.join(who) or 'nobody holds these roles yet'}.",
        )


def _side(place: str, where: Environment, slug: str, wrong: dict[str, str]) -> dict[str, Any]:
    """Return a source pinned by its digest; the only one of its environment if none is named."""
    sources = Stream.objects.filter(environment=where, direction="source", retired_at=None)
    found = list(sources.filter(slug=slug) if slug else sources[:2])
    if len(found) != 1:
        named = f"{where.name} has no source {slug}" if slug else f"name one of the sources of {where.name}"
        wrong[place] = named
        return {}
    if found[0].descriptor["transport"] == "http":
        wrong[place] = f"{slug or found[0].slug} is the engine's own endpoint and holds no records; name another source"
        return {}
    one = found[0]
    return {"environment": where.slug, "stream": one.slug, "digest": one.digest, "descriptor": one.descriptor}


def _fields(version: ModelVersion, name: str) -> dict[str, Any]:
    """Return the fields of one of a version's schemas, by name."""
    element = version.elements.filter(name=name).first()
    content = orjson.loads(element.text or "{}") if element else {}
    return {one["name"]: one for one in content.get("fields", [])}


def _check_names(place: str, names: Sequence[str], known: Mapping[str, Any], wrong: dict[str, str]) -> None:
    odd = [name for name in names if name not in known]
    if odd or len(names) > MOST_KEYS:
        wrong[place] = f"must name fields of the schema, at most {MOST_KEYS}: {', '.join(odd)[:200]}"


def _tolerances(
    place: str, told: Tolerances | None, known: Mapping[str, Any], wrong: dict[str, str]
) -> dict[str, list[float]]:
    found = {}
    for name, pair in (told or {}).items():
        numbers = list(pair) if isinstance(pair, list | tuple) else []
        fits = len(numbers) == 2 and all(type(one) in (int, float) and 0 <= one < float("inf") for one in numbers)
        if name not in known or not fits:
            wrong[f"{place}.{str(name)[:64]}"] = "must name a field and have two numbers from 0: absolute and relative"
        else:
            found[name] = [float(one) for one in numbers]
    return found


def _sealed(version: ModelVersion, outputs: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the tolerance that was sealed with a version, for each of its outputs."""
    element = version.elements.filter(name="thresholds").first()
    tolerance = orjson.loads(element.text or "{}").get("tolerance", {}) if element else {}
    pair = [float(tolerance.get(kind, 0)) for kind in ("absolute", "relative")]
    return dict.fromkeys(outputs, pair) if any(pair) else {}
