"""Read who answered: for a model in an environment, and for an environment itself, at a moment or during a day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.db.models import QuerySet

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.models import OwnerOfRecord
from models_registry.access import environments_visible_to
from models_registry.models import Environment, EnvironmentOwner, RegisteredModel

RELATED = ("person", "organisation", "model", "environment", "deployment__version")
MOST = 200


@dataclass(frozen=True, slots=True)
class Answered:
    """Who answered during a day; `more` tells that there are more than are shown."""

    models: list[OwnerOfRecord]
    environments: list[EnvironmentOwner]
    more: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be asked about."""

    models: list[RegisteredModel]
    environments: list[Environment]


def owner_on(user: Account, model: str, environment: str, moment: datetime) -> OwnerOfRecord | None:
    """Return who answered for a model in an environment at a moment; None before it was first live, or unseen."""
    found = _of_models(user, model, environment).filter(period__contains=moment)
    return found.first() if model and environment else None


def environment_owner_on(user: Account, environment: str, moment: datetime) -> EnvironmentOwner | None:
    """Return who answered for an environment at a moment; None before it was there, or unseen."""
    found = _of_environments(user, environment).filter(period__contains=moment)
    return found.first() if environment else None


def answered_during(user: Account, day: date, *, model: str = "", environment: str = "") -> Answered:
    """Return who answered at any time of a day in UTC, the first first; model and environment narrow it."""
    begin = datetime.combine(day, time(), UTC)
    whole = DateTimeTZRange(begin, begin + timedelta(days=1), "[)")
    models = _of_models(user, model, environment).filter(period__overlap=whole)
    places = _of_environments(user, environment).filter(period__overlap=whole)
    of_models = list(models.order_by("environment__name", "model__name", "pk")[: MOST + 1])
    of_places = list(places.order_by("environment__name", "pk")[: MOST + 1]) if not model or environment else []
    more = len(of_models) > MOST or len(of_places) > MOST
    return Answered(of_models[:MOST], of_places[:MOST], more)


def choices(user: Account) -> Choices:
    """Return the models and environments that an account may ask about."""
    answered = OwnerOfRecord.objects.filter(deployment__handoff__in=handoffs_visible_to(user))
    models = RegisteredModel.objects.filter(pk__in=answered.values("model")).order_by("name")
    return Choices(list(models), list(environments_visible_to(user).order_by("name")))


def _of_models(user: Account, model: str, environment: str) -> QuerySet[OwnerOfRecord]:
    found = OwnerOfRecord.objects.filter(deployment__handoff__in=handoffs_visible_to(user)).select_related(*RELATED)
    found = found.filter(model__slug=model) if model else found
    return found.filter(environment__slug=environment) if environment else found


def _of_environments(user: Account, environment: str) -> QuerySet[EnvironmentOwner]:
    found = EnvironmentOwner.objects.filter(environment__in=environments_visible_to(user))
    found = found.filter(environment__slug=environment) if environment else found
    return found.select_related("person", "environment__organisation")
