"""Suspensions: what is live is stopped, by whom and why, and when the engine said so; and how that ended."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from handoff.models.deployments import Deployment
from handoff.models.findings import Finding
from handoff.models.jobs import Job
from handoff.models.signoffs import Reauthentication

ENDINGS = ["", "lifted", "superseded"]
TOLD = ["job", "tries", "error", "stopped_at", "resumed_at"]
ENDS = ["lifted_by", "lift_reason", "lift_order", "reauthentication", "ending", "ended_at"]
ENDED_OTHERWISE = """
    (OLD.ended_at IS NOT NULL AND
    (OLD.lifted_by_id, OLD.lift_reason, OLD.lift_order, OLD.reauthentication_id, OLD.ending, OLD.ended_at)
    IS DISTINCT FROM
    (NEW.lifted_by_id, NEW.lift_reason, NEW.lift_order, NEW.reauthentication_id, NEW.ending, NEW.ended_at))
"""
OF_WHAT_IS_LIVE = """
    PERFORM FROM handoff_deployment d WHERE d.id = NEW.deployment_id AND d.state = 'live' FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'only what is live is suspended'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'suspension_of_what_is_live';
    END IF;
    RETURN NEW;
"""


class Suspension(models.Model):
    """One stop of one live deployment. It is written once, ended once, and otherwise only told how the engine did.

    `order` and `lift_order` are numbers of the acts, drawn behind the deployment's lock: an engine refuses a late one.
    Either a person suspends, or a worker for the finding that the policy stops for.
    """

    class Ending(models.TextChoices):
        LIFTED = "lifted", "lifted"
        SUPERSEDED = "superseded", "superseded"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey(Deployment, models.PROTECT, related_name="suspensions")
    suspended_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    finding = models.ForeignKey(Finding, models.PROTECT, null=True, related_name="suspensions")
    reason = models.TextField()
    suspended_at = models.DateTimeField(db_default=Now(), editable=False)
    order = models.BigIntegerField(unique=True)
    job = models.ForeignKey(
        Job, models.PROTECT, null=True, related_name="suspensions", help_text="The newest order to the engine."
    )
    tries = models.PositiveIntegerField(default=0, help_text="How often the engine was told in vain, in a row.")
    error = models.TextField(blank=True, help_text="Why the engine has not confirmed it.")
    stopped_at = models.DateTimeField(null=True, help_text="When the engine confirmed that it scores no more.")
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    lift_reason = models.TextField(blank=True)
    lift_order = models.BigIntegerField(null=True, unique=True)
    reauthentication = models.OneToOneField(
        Reauthentication, models.PROTECT, null=True, related_name="lifted", help_text="By which the lifter was known."
    )
    ending = models.CharField(max_length=10, choices=Ending, blank=True)
    ended_at = models.DateTimeField(null=True)
    resumed_at = models.DateTimeField(null=True, help_text="When the engine confirmed that it scores again.")

    class Meta:
        ordering = ["-suspended_at"]
        constraints = [
            models.UniqueConstraint(fields=["deployment"], condition=Q(ended_at=None), name="suspension_one_open"),
            models.CheckConstraint(condition=~Q(reason=""), name="suspension_has_a_reason"),
            models.CheckConstraint(
                condition=Q(suspended_by__isnull=False, finding=None)
                | Q(suspended_by=None, finding__isnull=False),
                name="suspension_by_somebody_or_for_a_finding",
            ),
            models.CheckConstraint(
                condition=Q(ending="", ended_at=None) | ~Q(ending="") & Q(ended_at__isnull=False),
                name="suspension_ended_has_a_time",
            ),
            models.CheckConstraint(condition=Q(ending__in=ENDINGS), name="suspension_ending_known"),
            models.CheckConstraint(
                condition=~Q(ending="lifted") & Q(lifted_by=None, lift_order=None, reauthentication=None)
                | Q(ending="lifted", lifted_by__isnull=False, reauthentication__isnull=False)
                & Q(lift_order__isnull=False) & ~Q(lift_reason=""),
                name="suspension_lifted_by_somebody_known",
            ),
        ]  # fmt: skip
        triggers = [
            pgtrigger.Trigger(
                name="of_what_is_live", operation=pgtrigger.Insert, when=pgtrigger.Before, func=OF_WHAT_IS_LIVE
            ),
            pgtrigger.Protect(
                name="act_is_fixed",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=[*TOLD, *ENDS]),
            ),
            pgtrigger.Protect(
                name="ended_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(ENDED_OTHERWISE),
            ),
            pgtrigger.Protect(
                name="confirmed_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "((OLD.stopped_at IS NOT NULL AND NEW.stopped_at IS DISTINCT FROM OLD.stopped_at)"
                    " OR (OLD.resumed_at IS NOT NULL AND NEW.resumed_at IS DISTINCT FROM OLD.resumed_at))"
                ),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"suspension of {self.deployment}"

    @property
    def is_open(self) -> bool:
        """Tell whether it holds."""
        return self.ended_at is None

    @property
    def ordered(self) -> int:
        """Return the number of the order that the engine has to carry out now."""
        return self.order if self.lift_order is None else self.lift_order

    @property
    def confirmed(self) -> bool:
        """Tell whether the engine has carried out what was ordered last; for one that was superseded, nothing is."""
        if self.ending == self.Ending.SUPERSEDED:
            return True
        return (self.stopped_at if self.is_open else self.resumed_at) is not None

    @property
    def by(self) -> str:
        """Return who suspended it."""
        return self.suspended_by.printed_name if self.suspended_by else "the policy"
