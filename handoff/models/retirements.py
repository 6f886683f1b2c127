"""Retirements: what is live is taken out for good on a day, and the owners of its consumers are told before."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from audit.models.names import NameText
from handoff.models.deployments import Deployment
from handoff.models.signoffs import Reauthentication
from models_registry.models import Consumer

ENDINGS = ["", "cancelled", "retired", "superseded"]
ENDS = ["ending", "ended_at", "ended_by", "because"]
OF_WHAT_IS_LIVE = """
    PERFORM FROM handoff_deployment d WHERE d.id = NEW.deployment_id AND d.state = 'live' FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'only what is live is retired'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'retirement_of_what_is_live';
    END IF;
    RETURN NEW;
"""


class Retirement(models.Model):
    """One plan to retire one live deployment. It is written once, and ended once."""

    class Ending(models.TextChoices):
        CANCELLED = "cancelled", "cancelled"
        RETIRED = "retired", "retired"
        SUPERSEDED = "superseded", "superseded"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey(Deployment, models.PROTECT, related_name="retirements")
    planned_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.TextField()
    planned_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField(help_text="From when on a worker takes it out.")
    reauthentication = models.OneToOneField(
        Reauthentication, models.PROTECT, related_name="retirement", help_text="By which the planner was known."
    )
    ending = models.CharField(max_length=10, choices=Ending, blank=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = NameText(max_length=200, blank=True)
    because = models.TextField(blank=True)

    class Meta:
        ordering = ["-planned_at"]
        constraints = [
            models.UniqueConstraint(fields=["deployment"], condition=Q(ended_at=None), name="retirement_one_open"),
            models.CheckConstraint(condition=~Q(reason=""), name="retirement_has_a_reason"),
            models.CheckConstraint(condition=Q(ending__in=ENDINGS), name="retirement_ending_known"),
            models.CheckConstraint(
                condition=Q(ending="", ended_at=None, ended_by="")
                | ~Q(ending="") & Q(ended_at__isnull=False) & ~Q(ended_by=""),
                name="retirement_ended_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(ending="retired") | Q(ended_at__gte=F("due_at")), name="retirement_not_before_its_day"
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="of_what_is_live", operation=pgtrigger.Insert, when=pgtrigger.Before, func=OF_WHAT_IS_LIVE
            ),
            pgtrigger.Protect(
                name="plan_is_fixed", operation=pgtrigger.Update, condition=pgtrigger.AnyChange(exclude=ENDS)
            ),
            pgtrigger.Protect(
                name="ended_stays", operation=pgtrigger.Update, condition=pgtrigger.Q(old__ended_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"retirement of {self.deployment}"


class RetirementNotice(models.Model):
    """That the owner of one consumer was told of a retirement, and that they have read it."""

    retirement = models.ForeignKey(Retirement, models.PROTECT, related_name="notices")
    consumer = models.ForeignKey(Consumer, models.PROTECT, related_name="+")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    acknowledged_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["retirement", "consumer"], name="retirement_notice_once"),
        ]
        triggers = [
            pgtrigger.Protect(
                name="only_acknowledged",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["acknowledged_at"]),
            ),
            pgtrigger.Protect(
                name="acknowledged_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__acknowledged_at__isnull=False),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.owner_id} of {self.consumer_id}"
