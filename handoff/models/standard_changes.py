"""What went live with fewer signatures: compared with what, and counted from which full review."""

import uuid

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from handoff.models.deployments import Deployment
from handoff.models.handoffs import Handoff
from handoff.rules.standard_changes import RETRAIN, STANDARD

OVER_WHAT_IS_LIVE = """
    PERFORM FROM handoff_deployment d
      JOIN handoff_deployment l ON l.id = NEW.compared_with_id AND l.state = 'live'
       AND (l.model_id, l.environment_id, l.slot) = (d.model_id, d.environment_id, d.slot)
      LEFT JOIN handoff_standardchange c ON c.handoff_id = l.handoff_id AND NOT c.complete
     WHERE d.id = NEW.deployment_id AND d.handoff_id = NEW.handoff_id AND d.state IN ('ordered', 'confirming')
       AND d.rollback_of_id IS NULL AND NEW.number = COALESCE(c.number, 0) + 1
       AND NEW.reviewed_id = COALESCE(c.reviewed_id, l.id)
       AND NOT EXISTS (SELECT FROM handoff_suspension s WHERE s.deployment_id = l.id AND s.ended_at IS NULL)
       FOR SHARE OF l;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a standard change follows what is live in its place, and is counted from the last full review'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'standard_change_over_what_is_live';
    END IF;
    RETURN NEW;
"""
KIND_OF_ITS_POLICY = """
    PERFORM FROM handoff_handoff h
     WHERE h.id = NEW.handoff_id
       AND jsonb_typeof(h.policy -> CASE NEW.kind WHEN 'standard' THEN 'standard_change' ELSE NEW.kind END) = 'object'
       AND (NEW.kind <> 'retrain' OR EXISTS (
             SELECT FROM handoff_deployment l
               JOIN models_registry_element a ON a.version_id = l.version_id AND a.name = 'training'
               JOIN models_registry_element b ON b.version_id = h.version_id AND b.name = 'training'
              WHERE l.id = NEW.compared_with_id AND a.text::jsonb -> 'pipeline' = b.text::jsonb -> 'pipeline'));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'it is of a kind that its policy knows, and a retrain of the very pipeline of what was live'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'standard_change_kind_of_its_policy';
    END IF;
    RETURN NEW;
"""


class StandardChange(models.Model):
    """One handoff that went live with fewer signatures. Written once, as it goes live. `number` counts in a row."""

    class Kind(models.TextChoices):
        STANDARD = STANDARD, "standard change"
        RETRAIN = RETRAIN, "retrain"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.OneToOneField(Handoff, models.PROTECT, related_name="standard_change")
    deployment = models.OneToOneField(Deployment, models.PROTECT, related_name="standard_change")
    kind = models.CharField(max_length=8, choices=Kind)
    compared_with = models.ForeignKey(
        Deployment, models.PROTECT, related_name="+", help_text="What was live until then."
    )
    reviewed = models.ForeignKey(
        Deployment, models.PROTECT, related_name="+", help_text="What all had signed for last, in the same row."
    )
    number = models.PositiveSmallIntegerField()
    complete = models.BooleanField(help_text="Whether all have signed all the same, so that the next counts from it.")
    reasons = models.JSONField(help_text="Why fewer signatures were enough, in sentences.")
    kept_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-kept_at"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=[STANDARD, RETRAIN]), name="standard_change_kind_known"),
            models.CheckConstraint(condition=Q(number__gte=1), name="standard_change_counted"),
            models.CheckConstraint(
                condition=~Q(compared_with=F("deployment")) & ~Q(reviewed=F("deployment")),
                name="standard_change_against_another",
            ),
            models.CheckConstraint(condition=~Q(reasons=[]), name="standard_change_says_why"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="over_what_is_live", operation=pgtrigger.Insert, when=pgtrigger.Before, func=OVER_WHAT_IS_LIVE
            ),
            pgtrigger.Trigger(
                name="kind_of_its_policy", operation=pgtrigger.Insert, when=pgtrigger.Before, func=KIND_OF_ITS_POLICY
            ),
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.handoff} as {self.get_kind_display()} {self.number}"
