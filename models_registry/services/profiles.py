"""Take what a capture or a probe found an environment to be made of: record it, and set the environment to it."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from audit.actors import Person, ServiceAccount, Worker
from audit.acts import act
from audit.trail import record
from models_registry.access import find_environment, require_reporter
from models_registry.models import Environment, EnvironmentProfile, Stream
from models_registry.rules.profiles import Change, Profile, digest_of, moved, read
from models_registry.services.environments import chain_of


@act
def report(*, actor: Person | ServiceAccount, environment: str, content: Any) -> EnvironmentProfile:
    """Record a profile of an environment under the next number, and set its interpreter, packages and hardware to it.

    Raises Hidden, Forbidden for whoever may not speak for the environment, or ProfileInvalid, ProfileTooLarge and
    ProfileFromTheFuture. Open handoffs keep the difference report they were offered with; the worker looks again.
    """
    found = find_environment(actor, environment)
    place = Environment.objects.select_for_update().get(pk=found.pk)
    require_reporter(actor, place)
    profile = read(content, now=timezone.now())
    before = place.profiles.order_by("-number").first()
    changes = moved(before.content, profile.content) if before else []
    return _keep(place, profile, before, changes, actor=actor)


def to_probe() -> list[tuple[Environment, list[str]]]:
    """Return the environments that have an engine, with the names of the secrets that it should know."""
    secrets: dict[UUID, list[str]] = {}
    named = Stream.objects.filter(retired_at=None, descriptor__has_key="secret")
    for environment, secret in named.values_list("environment", "descriptor__secret"):
        secrets.setdefault(environment, []).append(secret)
    places = Environment.objects.exclude(engine="").order_by("slug")
    return [(place, secrets.get(place.pk, [])) for place in places]


@act
def probed(*, actor: Worker, environment_id: UUID, content: Any) -> EnvironmentProfile | None:
    """Record what an engine says of itself, where that is not what is known already; else only that it was asked.

    A probe looks at no data files, so what a capture said of those is left aside. What somebody typed over what was
    found is set right. Raises ProfileInvalid, ProfileTooLarge or ProfileFromTheFuture.
    """
    place = Environment.objects.select_for_update().get(pk=environment_id)
    profile = read(content, now=timezone.now())
    Environment.objects.filter(pk=environment_id).update(probed_at=timezone.now(), probe_error="")
    before = place.profiles.order_by("-number").first()
    changes = [one for one in moved(before.content, profile.content) if one.about != "files"] if before else []
    if before and not changes and not _differing(place, profile):
        return None
    return _keep(place, profile, before, changes, actor=actor)


def not_probed(environment_id: UUID, why: str) -> None:
    """Keep why an engine could not be asked, for the page; no act, and nothing for the trail."""
    Environment.objects.filter(pk=environment_id).update(probe_error=why[:300])


def _keep(
    place: Environment,
    profile: Profile,
    before: EnvironmentProfile | None,
    changes: list[Change],
    *,
    actor: Person | ServiceAccount | Worker,
) -> EnvironmentProfile:
    """Record a profile of a locked environment under the next number, and set the environment to it."""
    number = before.number + 1 if before else 1
    made = EnvironmentProfile.objects.create(
        environment=place,
        number=number,
        captured_at=profile.captured_at,
        reported_by=actor.user,
        content=profile.content,
        digest=digest_of(profile.content),
    )
    moves = _set(place, profile)
    record(
        "profile.reported",
        actor=actor,
        on=place,
        chain=chain_of(place),
        data={"number": number, "digest": made.digest, **_told(changes), "set": moves},
    )
    return EnvironmentProfile.objects.select_related("environment", "reported_by").get(pk=made.pk)


def _set(place: Environment, profile: Profile) -> dict[str, Any]:
    """Set an environment to what was found there; return what that changed, before and after."""
    changes = _differing(place, profile)
    if not changes:
        return {}
    before = {field: getattr(place, field) for field in changes}
    for field, value in changes.items():
        setattr(place, field, value)
    place.revision += 1
    place.save(update_fields=[*changes, "revision"])
    return {field: _pair(before[field], changes[field]) for field in changes}


def _differing(place: Environment, profile: Profile) -> dict[str, Any]:
    """Return what was found that is not what the environment says of itself."""
    found = {"python": profile.python, "packages": dict(profile.packages), "hardware": profile.hardware}
    return {field: value for field, value in found.items() if getattr(place, field) != value}


def _pair(before: Any, after: Any) -> Any:
    """Return what the trail says of one field: of packages only those that moved."""
    if not isinstance(after, dict):
        return [before, after]
    names = sorted({*before, *after})
    return {name: [before.get(name, ""), after.get(name, "")] for name in names if before.get(name) != after.get(name)}


def _told(changes: list[Change]) -> dict[str, Any]:
    """Return what moved since the profile before, apart from packages, which the environment's own change tells."""
    moves = [f"{one.about} {one.name} {one.how}" for one in changes if one.about != "packages"]
    return {"moved": moves} if moves else {}
