"""Reads of the registry for pages and the API, each with a tested number of SQL queries."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from audit.actors import Person, ServiceAccount
from audit.models import Account
from models_registry.access import (
    PREFIX,
    environments_visible_to,
    find_environment,
    find_model,
    models_visible_to,
)
from models_registry.errors import Hidden
from models_registry.models import (
    Element,
    Environment,
    EnvironmentGroupGrant,
    EnvironmentUserGrant,
    ModelVersion,
    RegisteredModel,
    RegisteredModelGroupGrant,
    RegisteredModelUserGrant,
)
from models_registry.roles import Role
from models_registry.states import SCHEMAS, VersionState

Reader = Person | ServiceAccount


@dataclass(frozen=True, slots=True)
class Holding:
    """Somebody holds a role. `holder` is a username, or 'group:name'."""

    role: str
    title: str
    holder: str
    name: str


def models_listed(user: Account, **filters: Any) -> QuerySet[RegisteredModel]:
    """Return the models an account may read; filters are risk_tier and text."""
    found = models_visible_to(user).annotate(
        versions_count=Count("versions", distinct=True),
        newest=Max("versions__number", filter=Q(versions__state=VersionState.NOMINATED)),
    )
    if filters.get("risk_tier"):
        found = found.filter(risk_tier=filters["risk_tier"])
    if filters.get("text"):
        text = filters["text"]
        found = found.filter(Q(name__icontains=text) | Q(slug__icontains=text) | Q(purpose__icontains=text))
    return found.order_by("name", "pk")


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


def holdings(thing: RegisteredModel | Environment) -> list[Holding]:
    """Return who holds which role on a model or an environment, by two queries."""
    on_model = isinstance(thing, RegisteredModel)
    direct: Any = RegisteredModelUserGrant if on_model else EnvironmentUserGrant
    grouped: Any = RegisteredModelGroupGrant if on_model else EnvironmentGroupGrant
    rows = [
        (g.permission.codename, g.user.username, g.user.printed_name)
        for g in direct.objects.filter(content_object=thing).select_related("permission", "user")
    ]
    rows += [
        (g.permission.codename, f"group:{g.group.name}", g.group.name)
        for g in grouped.objects.filter(content_object=thing).select_related("permission", "group")
    ]
    order = list(Role)
    found = [
        Holding(Role(code.removeprefix(PREFIX)), Role(code.removeprefix(PREFIX)).label, holder, name)
        for code, holder, name in rows
    ]
    return sorted(found, key=lambda h: (order.index(Role(h.role)), h.name))
