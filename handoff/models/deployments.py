"""Deployments: the order to run a version in an environment, what became of it, and who answers for it."""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from audit.models.names import NameText
from handoff.models.handoffs import Handoff
from handoff.rules.canaries import USUAL_MINUTES, USUAL_PERCENT, USUAL_REQUESTS
from handoff.rules.watches import ENOUGH
from handoff.states import DEPLOYMENT_MOVES, DeploymentState, pairs
from models_registry.models import Environment, ModelVersion, Organisation, RegisteredModel

# As the services say: what does not stand approved any more comes back only while two people answer for it.
TWO_PEOPLE_ANSWER = """
    IF NOT EXISTS (SELECT FROM handoff_breakglass b WHERE b.handoff_id = NEW.handoff_id AND b.gate = 'rollback'
                      AND b.state = 'confirmed' AND b.until > clock_timestamp()) THEN
        RAISE EXCEPTION 'a rollback rests on break-glass only while one is in force for it'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'deployment_two_people_answer';
    END IF;
    RETURN NEW;
"""
# As the confirm gate says, of what can be counted here.
CANARY_RAN_FIRST = f"""
    IF EXISTS (SELECT FROM handoff_handoff h, LATERAL (SELECT h.policy->'strategy' AS asked) s
               WHERE h.id = NEW.handoff_id AND s.asked->>'kind' = 'canary' AND NOT EXISTS (
                 SELECT FROM handoff_watch w WHERE w.deployment_id = NEW.id AND w.seen_at IS NOT NULL
                    AND w.began_at <= clock_timestamp()
                      - make_interval(mins => COALESCE((s.asked->>'least_minutes')::int, {USUAL_MINUTES}))
                    AND w.scored + w.failed >= COALESCE((s.asked->>'least_requests')::bigint, {USUAL_REQUESTS})
                    AND 100 * w.failed <= COALESCE((s.asked->>'most_failed_percent')::numeric, {USUAL_PERCENT:g})
                      * GREATEST(w.scored + w.failed, {ENOUGH}))) THEN
        RAISE EXCEPTION 'a canary goes live after its time and its requests, within its limits'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'deployment_canary_ran_first';
    END IF;
    RETURN NEW;
"""  # noqa: S608 - of our own numbers
SUSPENSION_ENDS_FIRST = """
    IF EXISTS (SELECT FROM handoff_suspension s WHERE s.deployment_id = NEW.id AND s.ended_at IS NULL) THEN
        RAISE EXCEPTION 'what is suspended stays live on record until the suspension has ended'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'deployment_suspension_ends_first';
    END IF;
    RETURN NEW;
"""


class Deployment(models.Model):
    """One order. `order` rises for ever per environment, and the engine refuses a lower one."""

    class RestsOn(models.TextChoices):
        """What a rollback rests on; `way_back` is that of workers, which nobody has to approve."""

        APPROVAL = "approval", "its standing approval"
        BREAK_GLASS = "break_glass", "break-glass"
        WAY_BACK = "way_back", "the way back that workers take by themselves"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="deployments")
    model = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="deployments")
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="deployments")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="deployments")
    slot = models.SlugField(default="main")
    order = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=12, choices=DeploymentState, default=DeploymentState.ORDERED)
    rollback_of = models.ForeignKey("self", models.PROTECT, null=True, related_name="rollbacks")
    rests_on = models.CharField(
        max_length=11, choices=RestsOn, blank=True, help_text="What a rollback rests on; of any other order nothing."
    )
    ordered_by = NameText(max_length=200)
    reason = models.TextField(blank=True)
    log = models.JSONField(default=list, help_text="The steps as they happened.")
    run = models.JSONField(default=dict, help_text="How its run over streams goes, as the engine told last.")
    ordered_at = models.DateTimeField(db_default=Now())
    live_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-ordered_at"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "order"], name="deployment_order_once"),
            models.UniqueConstraint(
                fields=["model", "environment", "slot"], condition=Q(state="live"), name="deployment_one_live"
            ),
            models.UniqueConstraint(
                fields=["model", "environment", "slot"],
                condition=Q(state__in=["ordered", "confirming"]),
                name="deployment_one_under_way",
            ),
            models.CheckConstraint(condition=Q(state__in=DeploymentState.values), name="deployment_state_known"),
            models.CheckConstraint(
                condition=~Q(state="live") | Q(live_at__isnull=False), name="deployment_live_has_a_time"
            ),
            models.CheckConstraint(
                condition=Q(rollback_of=None, rests_on="")
                | Q(rollback_of__isnull=False, rests_on__in=["approval", "break_glass", "way_back"]),
                name="deployment_rollback_rests_on_something",
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="legal_moves", field="state", transitions=pairs(DEPLOYMENT_MOVES)),
            pgtrigger.Protect(
                name="order_is_fixed",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "handoff", "model", "version", "environment", "slot", "digest", "rollback_of", "rests_on"
                ),
            ),
            pgtrigger.Trigger(
                name="two_people_answer",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                condition=pgtrigger.Q(new__rests_on="break_glass"),
                func=TWO_PEOPLE_ANSWER,
            ),
            pgtrigger.Protect(
                name="order_only_rises",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(new__order__lt=pgtrigger.F("old__order")),
            ),
            pgtrigger.Trigger(
                name="suspension_ends_first",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                condition=pgtrigger.Q(old__state="live") & ~pgtrigger.Q(new__state="live"),
                func=SUSPENSION_ENDS_FIRST,
            ),
            pgtrigger.Trigger(
                name="canary_ran_first",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                condition=pgtrigger.Q(new__state="live", new__rollback_of__isnull=True)
                & ~pgtrigger.Q(old__state="live"),
                func=CANARY_RAN_FIRST,
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.version} in {self.environment} ({self.state})"


class OwnerOfRecord(models.Model):
    """Who answered for a model in an environment, from when until when; without gap or overlap."""

    model = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="owners_of_record")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="owners_of_record")
    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="+")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    deployment = models.ForeignKey(Deployment, models.PROTECT, related_name="owners")
    period = DateTimeRangeField()

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "owners of record"
        constraints = [
            ExclusionConstraint(
                name="owner_one_at_a_time",
                expressions=[
                    ("model", RangeOperators.EQUAL),
                    ("environment", RangeOperators.EQUAL),
                    ("period", RangeOperators.OVERLAPS),
                ],
            )
        ]
        triggers = [
            pgtrigger.Protect(
                name="only_ended",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["period"]),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} for {self.model_id} in {self.environment_id}"
