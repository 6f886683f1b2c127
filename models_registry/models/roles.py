"""Grants: who holds a role, on what, and between which times. A grant is ended, never deleted or written anew.

They are django-guardian's tables with a real foreign key, and times. `history` has all of them; `objects`, which
guardian's own functions read, only those that count now.
"""

from datetime import datetime
from typing import Any, ClassVar

import pgtrigger
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q, QuerySet
from django.db.models.functions import Cast, Now
from guardian.managers import GroupObjectPermissionManager, UserObjectPermissionManager
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from models_registry.models.environments import Environment, Organisation
from models_registry.models.registered_models import RegisteredModel


def _constraints(holder: str) -> list[Any]:
    """Return what must hold of grants: nothing ends before it starts, and nobody holds a role twice at once.

    The second compares keys as texts, so that its index, slow for anything else, is taken for nothing else.
    """
    during = Func(F("starts_at"), F("ends_at"), function="tstzrange", output_field=DateTimeRangeField())
    keys = (holder, "permission", "content_object")
    same = [(Cast(key, models.TextField()), RangeOperators.EQUAL) for key in keys]
    return [
        models.CheckConstraint(condition=Q(ends_at=None) | Q(ends_at__gte=F("starts_at")), name="%(class)s_in_order"),
        ExclusionConstraint(expressions=[*same, (during, RangeOperators.OVERLAPS)], name="%(class)s_once_at_a_time"),
    ]


TRIGGERS = [
    pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
    pgtrigger.Protect(
        name="only_ending", operation=pgtrigger.Update, condition=pgtrigger.AnyChange(exclude=["ends_at"])
    ),
    pgtrigger.Protect(
        name="ended_once",
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("OLD.ends_at <= GREATEST(transaction_timestamp(), OLD.starts_at)"),
    ),
    pgtrigger.Protect(
        name="not_ended_in_the_past",
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("NEW.ends_at < transaction_timestamp()"),
    ),
    pgtrigger.Protect(
        name="not_from_the_past",
        operation=pgtrigger.Insert,
        condition=pgtrigger.Condition("NEW.starts_at < transaction_timestamp()"),
    ),
]


NOW = Q(starts_at__lte=Now()) & (Q(ends_at=None) | Q(ends_at__gt=Now()))


class _PeopleNow(UserObjectPermissionManager):
    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(NOW)


class _GroupsNow(GroupObjectPermissionManager):
    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(NOW)


class _Grant(models.Model):
    """A role, a permission named hold_<role>, held from one time to another; without an end until further notice."""

    permission = models.ForeignKey(Permission, models.PROTECT, related_name="+")
    starts_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def state_at(self, moment: datetime) -> str:
        """Return where it stands: now, planned or ended. What was taken away before it started is ended, too."""
        if self.ends_at is not None and self.ends_at <= max(moment, self.starts_at):
            return "ended"
        return "planned" if self.starts_at > moment else "now"


class _UserGrant(_Grant, UserObjectPermissionBase):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    history = models.Manager()
    objects: ClassVar[Any] = _PeopleNow()

    class Meta:
        abstract = True
        constraints = _constraints("user")
        triggers = TRIGGERS


class _GroupGrant(_Grant, GroupObjectPermissionBase):
    group = models.ForeignKey(Group, models.PROTECT, related_name="+")

    history = models.Manager()
    objects: ClassVar[Any] = _GroupsNow()

    class Meta:
        abstract = True
        constraints = _constraints("group")
        triggers = TRIGGERS


class RegisteredModelUserGrant(_UserGrant):
    """A person holds a role on a registered model."""

    content_object = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="user_grants")

    class Meta(_UserGrant.Meta):
        verbose_name = "role of a person on a model"
        verbose_name_plural = "roles of people on models"


class RegisteredModelGroupGrant(_GroupGrant):
    """A group holds a role on a registered model."""

    content_object = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="group_grants")

    class Meta(_GroupGrant.Meta):
        verbose_name = "role of a group on a model"
        verbose_name_plural = "roles of groups on models"


class EnvironmentUserGrant(_UserGrant):
    """A person holds a role on an environment."""

    content_object = models.ForeignKey(Environment, models.PROTECT, related_name="user_grants")

    class Meta(_UserGrant.Meta):
        verbose_name = "role of a person on an environment"
        verbose_name_plural = "roles of people on environments"


class EnvironmentGroupGrant(_GroupGrant):
    """A group holds a role on an environment."""

    content_object = models.ForeignKey(Environment, models.PROTECT, related_name="group_grants")

    class Meta(_GroupGrant.Meta):
        verbose_name = "role of a group on an environment"
        verbose_name_plural = "roles of groups on environments"


class OrganisationUserGrant(_UserGrant):
    """A person holds a role on every environment of an organisation, now and later."""

    content_object = models.ForeignKey(Organisation, models.PROTECT, related_name="user_grants")

    class Meta(_UserGrant.Meta):
        verbose_name = "role of a person in an organisation"
        verbose_name_plural = "roles of people in organisations"


class OrganisationGroupGrant(_GroupGrant):
    """A group holds a role on every environment of an organisation, now and later."""

    content_object = models.ForeignKey(Organisation, models.PROTECT, related_name="group_grants")

    class Meta(_GroupGrant.Meta):
        verbose_name = "role of a group in an organisation"
        verbose_name_plural = "roles of groups in organisations"


class Holding(models.Model):
    """An account holds a role on a model or an environment at this moment: the one place that says so, a view.

    Grants of people, of their groups and in the environment's organisation come together here, each only between its
    times, and delegations as long as whoever made them holds the role; `behalf` is who that is.
    Whether the account is active is for the reader to ask. The migrations hold the view's text.
    """

    id = models.TextField(primary_key=True)
    role = models.CharField(max_length=20)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, related_name="holdings")
    model = models.ForeignKey(RegisteredModel, models.DO_NOTHING, null=True, related_name="holdings")
    environment = models.ForeignKey(Environment, models.DO_NOTHING, null=True, related_name="holdings")
    behalf = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, db_column="for_id", related_name="+"
    )

    @property
    def on(self) -> tuple[str, "RegisteredModel | Environment"]:
        """Return the kind of what it is held on, and the thing."""
        return ("model", self.model) if self.model is not None else ("environment", self.environment)  # type: ignore[return-value]

    class Meta:
        managed = False
        db_table = "models_registry_holding"
