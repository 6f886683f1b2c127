"""Environments: the places where models run."""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from models_registry.roles import ROLE_PERMISSIONS


class Organisation(models.Model):
    """A party that answers for environments."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=120)

    class Meta:
        permissions = ROLE_PERMISSIONS

    def __str__(self) -> str:
        return self.name


class Environment(models.Model):
    """A place where models run: its kind, runtime, rules for libraries, and owner of record."""

    class Kind(models.TextChoices):
        CREATION = "creation", "creation"
        TEST = "test", "test"
        STAGING = "staging", "staging"
        PRODUCTION = "production", "production"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=Kind)
    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="environments")
    purpose = models.TextField(blank=True)
    python = models.CharField(max_length=20, help_text="The interpreter's version, such as 3.11.7.")
    packages = models.JSONField(default=dict, blank=True, help_text='Installed libraries: {"numpy": "2.4.6"}.')
    hardware = models.CharField(max_length=200, blank=True)
    systems = models.TextField(
        blank=True, help_text="What it is made of and stands beside: operating system, scheduler, databases, gateways."
    )
    requirements = models.TextField(
        blank=True, help_text="What it asks of whatever runs there, one a line: limits, logs, monitoring, a runbook."
    )
    import_policy = models.JSONField(
        default=dict,
        blank=True,
        help_text='{"default": "warn", "rules": {"numpy": {"answer": "allow", "versions": ">=2,<3"}}}',
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", help_text="The person who answers for it."
    )
    engine = models.SlugField(
        blank=True, help_text="The engine's name in ENGINE_URLS; empty where nothing is deployed."
    )
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    probed_at = models.DateTimeField(null=True, editable=False, help_text="When its engine was last asked.")
    probe_error = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        permissions = ROLE_PERMISSIONS
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["creation", "test", "staging", "production"]), name="environment_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class EnvironmentOwner(models.Model):
    """Who answered for an environment, from when until when; without gap or overlap."""

    environment = models.ForeignKey(Environment, models.PROTECT, related_name="owners")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    period = DateTimeRangeField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            ExclusionConstraint(
                name="environment_owner_one_at_a_time",
                expressions=[("environment", RangeOperators.EQUAL), ("period", RangeOperators.OVERLAPS)],
            )
        ]
        triggers = [
            pgtrigger.Protect(
                name="only_ended",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["period"]),
            ),
            pgtrigger.Protect(
                name="ended_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("NOT upper_inf(OLD.period) OR lower(NEW.period) <> lower(OLD.period)"),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} for {self.environment_id}"
