"""Reads of the registry for pages and the API, each with a tested number of SQL queries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Count, F, Max, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from packaging.utils import canonicalize_name

from audit.actors import Person, ServiceAccount
from audit.models import Account, AuditEvent
from audit.planning import Each, Prepared, RowsByKey
from engine.import_policy import Verdict
from engine.schemas import Schema
from models_registry.access import (
    PREFIX,
    Held,
    accounts_behind,
    environments_visible_to,
    find_environment,
    find_model,
    models_visible_to,
)
from models_registry.errors import Hidden, Invalid, MissingElement
from models_registry.models import (
    Consumer,
    Element,
    Environment,
    EnvironmentProfile,
    ImportException,
    ModelVersion,
    Organisation,
    RegisteredModel,
    Stream,
)
from models_registry.models.import_exceptions import STATES
from models_registry.roles import Role
from models_registry.rules.import_exceptions import Exceptions, exceptions_of, with_exceptions
from models_registry.rules.import_policies import AskedVerdict, verdicts_on, verdicts_on_ranges
from models_registry.rules.profiles import Change, moved
from models_registry.rules.streams import Fit, fit
from models_registry.states import SCHEMAS, VersionState

Reader = Person | ServiceAccount


@dataclass(frozen=True, slots=True)
class GrantView:
    """Somebody holds a role from a day to a last day. `holder` is a username, or 'group:name'.

    `state` is now, planned or ended; `by` names the organisation through which it is held, if it is.
    """

    role: str
    title: str
    holder: str
    name: str
    starts: date
    ends: date | None
    state: str
    by: str = ""


def models_listed(user: Account, **filters: Any) -> QuerySet[RegisteredModel]:
    """Return the models an account may read; filters are risk_tier, model_type and text."""
    found = models_visible_to(user)
    for name in ("risk_tier", "model_type"):
        if filters.get(name):
            found = found.filter(**{name: filters[name]})
    if filters.get("text"):
        text = filters["text"]
        found = found.filter(Q(name__icontains=text) | Q(slug__icontains=text) | Q(purpose__icontains=text))
    return found.order_by("name", "pk")


def with_versions(found: QuerySet[RegisteredModel]) -> QuerySet[Any]:
    """Return models with how many versions each has, and the newest that was nominated."""
    versions = ModelVersion.objects.filter(model=OuterRef("pk")).order_by().values("model")
    newest = versions.filter(state=VersionState.NOMINATED).annotate(newest=Max("number")).values("newest")
    count = Coalesce(Subquery(versions.annotate(count=Count("pk")).values("count")), 0)
    return found.annotate(versions_count=count, newest=Subquery(newest))


ROWS = RowsByKey(lambda: with_versions(RegisteredModel.objects.all()), "uuid")


def environments_listed(user: Account, **filters: Any) -> QuerySet[Environment]:
    """Return the environments an account may read; the filter is kind."""
    found = environments_visible_to(user).select_related("organisation", "owner")
    if filters.get("kind"):
        found = found.filter(kind=filters["kind"])
    return found.order_by("name", "pk")


def environment(reader: Reader, slug: str) -> Environment:
    """Return one environment with its organisation and owner. Raises Hidden."""
    found = find_environment(reader, slug)
    return Environment.objects.select_related("organisation", "owner").get(pk=found.pk)


def owned_since(place: Environment) -> datetime | None:
    """Return since when an environment's owner answers for it; None where that was never kept."""
    current = place.owners.filter(period__upper_inf=True).first()
    return current.period.lower if current is not None else None


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """What the import policy of one environment says to one library.

    `let_in_until` is the last day of an exception to it; `asked_for` tells that IT has one to answer.
    """

    environment: str
    library: str
    version: str
    answer: str
    reason: str
    nearest: str
    let_in_until: str = ""
    asked_for: bool = False


@dataclass(frozen=True, slots=True)
class ProfileView:
    """A profile with what moved since the one before it; `first` where there is none before."""

    profile: EnvironmentProfile
    changes: list[Change]
    first: bool


def profiles_listed(reader: Reader, slug: str) -> QuerySet[EnvironmentProfile]:
    """Return the profiles of an environment, the newest first. Raises Hidden."""
    place = find_environment(reader, slug)
    found = EnvironmentProfile.objects.filter(environment=place).select_related("reported_by", "environment")
    return found.order_by("-number", "-pk")


def profile(reader: Reader, slug: str, number: int) -> ProfileView:
    """Return one profile with what moved since the one before. Raises Hidden."""
    found = list(profiles_listed(reader, slug).filter(number__lte=number)[:2])
    if not found or found[0].number != number:
        raise Hidden(f"There is no profile {number}.")
    return _with_before(found)


def newest_profile(place: Environment) -> ProfileView | None:
    """Return an environment's newest profile with what moved since the one before, by one query."""
    found = place.profiles.select_related("reported_by").order_by("-number")[:2]
    return _with_before(list(found)) if found else None


def _with_before(found: list[EnvironmentProfile]) -> ProfileView:
    first = len(found) == 1
    return ProfileView(found[0], [] if first else moved(found[1].content, found[0].content), first)


def verdicts_on_profile(reader: Reader, profile: EnvironmentProfile) -> list[PolicyVerdict]:
    """Return what import policies say to a profile's packages other than yes, the worst first.

    Those of the environment itself are asked, and of every production environment that the reader may see.
    """
    own = Q(pk=profile.environment_id)
    asked = environments_visible_to(reader.user).filter(own | Q(kind=Environment.Kind.PRODUCTION)).order_by("slug")
    excepted = exceptions_in(places := list(asked))
    found = [
        _policy_verdict(place, one, excepted[place.pk])
        for place in places
        for one in verdicts_on(place.import_policy, profile.content["packages"], profile.content["licences"])
        if one.answer != "allow"
    ]
    return sorted(found, key=lambda one: (one.answer != "prohibit", one.library, one.environment))


def _policy_verdict(place: Environment, one: Verdict, exceptions: Exceptions) -> PolicyVerdict:
    prohibited = one.answer == "prohibit"
    until = exceptions.until(one.library, one.version) if prohibited else ""
    asked = prohibited and not until and exceptions.is_asked(one.library, one.version)
    return PolicyVerdict(place.slug, one.library, one.version, one.answer, one.reason, one.nearest, until, asked)


def verdicts_on_version(reader: Reader, version: ModelVersion) -> list[tuple[Environment, list[AskedVerdict]]]:
    """Return what each production environment that the reader may see says to the packages a version asks for.

    A version without a runtime asks for nothing yet, and finds no answer.
    """
    runtime = next((one for one in version.elements.all() if one.name == "runtime"), None)
    if runtime is None or runtime.text is None:
        return []
    wanted = orjson.loads(runtime.text)["packages"]
    asked = environments_visible_to(reader.user).filter(kind=Environment.Kind.PRODUCTION).order_by("slug")
    excepted = exceptions_in(places := list(asked))
    return [
        (place, with_exceptions(verdicts_on_ranges(place.import_policy, wanted, place.packages), excepted[place.pk]))
        for place in places
    ]


def exceptions_in(places: Sequence[Environment]) -> dict[UUID, Exceptions]:
    """Return what is excepted today in each of some environments, and what is asked for there, by one query."""
    found: dict[UUID, list[tuple[str, str, date | None]]] = {place.pk: [] for place in places}
    for one in exceptions_holding(places).only("environment_id", "library", "version", "until"):
        found[one.environment_id].append((one.library, one.version, one.until))
    return {place: exceptions_of(told) for place, told in found.items()}


def exceptions_holding(places: Sequence[Environment]) -> QuerySet[ImportException]:
    """Return what is let in today in some environments, and the open requests there, the oldest first."""
    holding = _in_state("open") | _in_state("granted")
    return ImportException.objects.filter(holding, environment__in=places).order_by("asked_at", "pk")


def exceptions_listed(place: Environment, *, state: str = "", library: str = "") -> QuerySet[ImportException]:
    """Return the exceptions of an environment that were asked for, perhaps those in one state or of one library."""
    found = ImportException.objects.filter(environment=place)
    found = found.select_related("environment", "asked_by__responsible", "answered_by", "revoked_by")
    if state:
        if state not in STATES:
            raise Invalid("There is no such state.", fields={"state": "must be one of " + ", ".join(STATES)})
        found = found.filter(_in_state(state))
    if library:
        found = found.filter(library=canonicalize_name(library))
    return found.order_by("-asked_at", "pk")


def _in_state(state: str) -> Q:
    today = timezone.localdate()
    return {
        "open": Q(answer=""),
        "granted": Q(answer="granted", revoked_at=None, until__gte=today),
        "ended": Q(answer="granted", revoked_at=None, until__lt=today),
        "revoked": Q(revoked_at__isnull=False),
    }.get(state, Q(answer=state))


def import_exception(reader: Reader, environment: str, exception_id: UUID) -> ImportException:
    """Return one exception, open or answered. Raises Hidden."""
    place = find_environment(reader, environment)
    found = exceptions_listed(place).filter(pk=exception_id).first()
    if found is None:
        raise Hidden(f"{place.name} has no such exception.")
    return found


def unanswered(person: Any, places: Any) -> QuerySet[ImportException]:
    """Return the open requests of others than a natural person in some environments, the oldest first."""
    found = ImportException.objects.filter(answer="", environment__in=places)
    others = found.exclude(asked_by__in=accounts_behind(person).values("pk"))
    return others.select_related("environment", "asked_by").order_by("asked_at", "pk")


UNANSWERED = Prepared(lambda person, places: unanswered(person, Each(places, "uuid")), "bigint", "uuid[]")


def exceptions_to_answer(user: Account, held: Held) -> list[ImportException]:
    """Return the open requests that wait for an account, the oldest first: those of others, where it runs IT."""
    run = held.environments.get(Role.IT_OPERATIONS, ())
    return UNANSWERED(user.natural_person_id, list(run)) if run else []


def versions_listed(reader: Reader, slug: str) -> QuerySet[ModelVersion]:
    """Return the versions of a model, the newest first. Raises Hidden."""
    model = find_model(reader, slug)
    return (
        ModelVersion.objects.filter(model=model)
        .select_related("model", "created_by", "nominated_by")
        .order_by("-number", "pk")
    )


def version(reader: Reader, slug: str, number: int) -> ModelVersion:
    """Return one version with its elements. Raises Hidden."""
    found = (
        versions_listed(reader, slug)
        .filter(number=number)
        .prefetch_related("elements__blob", "elements__set_by")
        .first()
    )
    if found is None:
        raise Hidden(f"There is no version {number}.")
    return found


def nominated_before(version: ModelVersion) -> tuple[int, list[Element]]:
    """Return the number of the newest version that was nominated before this one, and its schemas; else 0 and none."""
    older = ModelVersion.objects.filter(
        model=version.model_id, state=VersionState.NOMINATED, number__lt=version.number
    ).order_by("-number")[:1]
    found = list(Element.objects.filter(version__in=older.values("pk"), name__in=SCHEMAS).select_related("version"))
    return (found[0].version.number if found else 0), found


def holdings(thing: RegisteredModel | Environment | Organisation, *, ended: bool = False) -> list[GrantView]:
    """Return who holds which role now or later, and if asked who held one, by two queries.

    On an environment the roles of its organisation are among them, which makes it four.
    """
    found = _grants_of(thing, ended)
    if isinstance(thing, Environment):
        found += [replace(one, by=thing.organisation.name) for one in _grants_of(thing.organisation, ended)]
    order = list(Role)
    return sorted(found, key=lambda one: (one.state == "ended", order.index(Role(one.role)), one.name, one.starts))


def _grants_of(thing: RegisteredModel | Environment | Organisation, ended: bool) -> list[GrantView]:
    now = timezone.now()
    over = Q(ends_at__lte=now) | Q(ends_at__lte=F("starts_at"))
    kept = Q() if ended else ~over | Q(ends_at=None)
    people = thing.user_grants.filter(kept).select_related("permission", "user")
    groups = thing.group_grants.filter(kept).select_related("permission", "group")
    named: list[tuple[Any, str, str]] = [(one, one.user.username, one.user.printed_name) for one in people]
    named += [(one, f"group:{one.group.name}", one.group.name) for one in groups]
    return [_grant_view(row, holder, name, now) for row, holder, name in named]


def _grant_view(row: Any, holder: str, name: str, now: datetime) -> GrantView:
    role = Role(row.permission.codename.removeprefix(PREFIX))
    last = row.ends_at and timezone.localdate(row.ends_at - timedelta(microseconds=1))
    return GrantView(role, role.label, holder, name, timezone.localdate(row.starts_at), last, row.state_at(now))


def streams_of(where: Environment, *, direction: str = "", retired: bool = False) -> QuerySet[Stream]:
    """Return the streams of an environment with their owners and what they feed; the retired ones only if asked."""
    fed = Consumer.objects.filter(retired_at=None).select_related("owner")
    found = Stream.objects.filter(environment=where).select_related("environment", "owner")
    if not retired:
        found = found.filter(retired_at=None)
    if direction:
        found = found.filter(direction=direction)
    return found.prefetch_related(Prefetch("consumers", fed, to_attr="fed")).order_by("slug", "pk")


def stream(reader: Reader, environment: str, slug: str) -> Stream:
    """Return one stream, retired or not, with what it feeds. Raises Hidden."""
    where = find_environment(reader, environment)
    found = streams_of(where, retired=True).filter(slug=slug).first()
    if found is None:
        raise Hidden(f"{where.name} has no stream {slug}.")
    return found


def consumers_of(sink: Stream) -> QuerySet[Consumer]:
    """Return what a sink feeds."""
    return (
        Consumer.objects.filter(stream=sink, retired_at=None).select_related("owner", "stream").order_by("name", "pk")
    )


def consumer(reader: Reader, environment: str, slug: str, consumer_id: UUID) -> Consumer:
    """Return one consumer, retired or not. Raises Hidden."""
    sink = stream(reader, environment, slug)
    found = Consumer.objects.filter(stream=sink, pk=consumer_id).select_related("owner", "stream__environment").first()
    if found is None:
        raise Hidden(f"{sink.slug} has no such consumer.")
    return found


def story_of(about: Stream) -> list[AuditEvent]:
    """Return the last thirty acts on a stream and its consumers, the newest first."""
    ids = [f"stream:{about.pk}", *(f"consumer:{pk}" for pk in about.consumers.values_list("pk", flat=True))]
    events = AuditEvent.objects.filter(chain=f"environment:{about.environment_id}", subject__in=ids)
    return list(events.order_by("-seq")[:30])


def people() -> QuerySet[Account]:
    """Return whoever may answer for something: active natural persons."""
    return Account.objects.filter(is_active=True, kind=Account.Kind.PERSON).order_by("first_name", "last_name", "pk")


def fit_of(reader: Reader, about: Stream, model: str, number: int) -> Fit:
    """Return how a stream fits a version: its input for a source, its output for a sink. Raises Hidden or Invalid."""
    found = version(reader, model, number)
    name = "input_schema" if about.direction == Stream.Direction.SOURCE else "output_schema"
    element = next((one for one in found.elements.all() if one.name == name), None)
    if element is None or not element.text:
        raise MissingElement(
            f"{found.model.name} v{number} has no {name.replace('_', ' ')} yet.",
            todo="Compare with a version that has one.",
        )
    return fit(about.descriptor, about.direction, Schema.parse(element.text))


def versions_to_compare(user: Account) -> QuerySet[ModelVersion]:
    """Return the nominated versions an account may read, the newest of each model first."""
    found = ModelVersion.objects.filter(model__in=models_visible_to(user), state=VersionState.NOMINATED)
    return found.select_related("model").order_by("model__name", "-number")
