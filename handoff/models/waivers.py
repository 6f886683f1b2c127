"""Waivers: an exception to one requirement of one handoff, asked for, answered once, good until a day."""

import uuid
from datetime import date, timedelta

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from handoff.models.handoffs import Handoff

STATES = ("open", "approved", "refused", "withdrawn", "revoked", "ended")
LONGEST = timedelta(days=366)
TWO_DAYS = timedelta(days=2)
ANSWERED_ANEW = """OLD."answer" <> '' AND
    (OLD."answer", OLD."answered_by_id", OLD."answered_at", OLD."comment") IS DISTINCT FROM
    (NEW."answer", NEW."answered_by_id", NEW."answered_at", NEW."comment")"""
TWO_PEOPLE = """
    PERFORM 1 FROM audit_account asker, audit_account answerer
      WHERE asker.id = NEW.asked_by_id AND answerer.id = NEW.answered_by_id
        AND (answerer.kind <> 'person' OR COALESCE(answerer.same_person_id, answerer.id) = COALESCE(
             (SELECT COALESCE(r.same_person_id, r.id) FROM audit_account r WHERE r.id = asker.responsible_id),
             asker.same_person_id, asker.id));
    IF FOUND THEN RAISE EXCEPTION 'a person other than the one who asked answers' USING ERRCODE = 'check_violation',
        CONSTRAINT = 'waiver_two_people'; END IF;
    RETURN NEW;
"""

# The same as conflicts() in rules/duties.py says, of whoever answers and of whom they stand in for.
UNBARRED = """
    IF TG_OP = 'UPDATE' AND OLD.answer = NEW.answer THEN
        RETURN NEW;
    END IF;
    PERFORM FROM handoff_handoff WHERE id = NEW.handoff_id FOR UPDATE;
    IF EXISTS (
        WITH h AS (
            SELECT h.*, h.policy->'waivers'->>'approver' AS approver FROM handoff_handoff h WHERE h.id = NEW.handoff_id
        ), held AS (
            SELECT g.for_id FROM models_registry_holding g JOIN h
                ON g.role = h.approver AND (g.model_id = h.model_id OR g.environment_id = h.target_id)
             WHERE g.account_id = NEW.answered_by_id
        ), answers AS (
            SELECT NEW.answered_by_id AS id
             UNION
            SELECT for_id FROM held WHERE NOT EXISTS (SELECT FROM held WHERE for_id IS NULL)
        ), acted AS (
            SELECT unnest(ARRAY[h.drafted_by_id, h.offered_by_id, v.created_by_id, v.nominated_by_id]) AS id
              FROM h JOIN models_registry_modelversion v ON v.id = h.version_id
             UNION
            SELECT e.set_by_id FROM models_registry_element e JOIN h ON h.version_id = e.version_id
             UNION
            SELECT a.answered_by_id FROM handoff_answer a WHERE a.handoff_id = NEW.handoff_id
             UNION
            SELECT unnest(ARRAY[s.signer_id, s.behalf_of_id]) FROM handoff_signoff s JOIN h ON h.id = s.handoff_id
             WHERE s.voided_at IS NULL AND s.role <> h.approver
             UNION
            SELECT unnest(ARRAY[b.confirmed_by_id, b.behalf_of_id]) FROM handoff_breakglass b
              JOIN h ON h.id = b.handoff_id WHERE b.role <> h.approver
        )
        SELECT FROM acted
          JOIN audit_account o ON o.id = acted.id
          LEFT JOIN audit_account r ON r.id = o.responsible_id
          JOIN answers ON TRUE JOIN audit_account n ON n.id = answers.id
         WHERE COALESCE(r.same_person_id, r.id, o.same_person_id, o.id) = COALESCE(n.same_person_id, n.id)) THEN
        RAISE EXCEPTION 'who created, nominated, offered or answered, or signed in another role, answers for no waiver'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'waiver_unbarred';
    END IF;
    RETURN NEW;
"""


class Waiver(models.Model):
    """A request to let a handoff go on without one requirement, and its answer. A correction is a new request."""

    class Kind(models.TextChoices):
        ITEM = "item", "checklist item"
        TEST = "test", "promotion test"

    class Answer(models.TextChoices):
        APPROVED = "approved", "approved"
        REFUSED = "refused", "refused"
        WITHDRAWN = "withdrawn", "withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="waivers")
    kind = models.CharField(max_length=4, choices=Kind)
    requirement = models.SlugField(help_text="The key of the item, or the kind of the test.")
    reason = models.TextField(help_text="Why the requirement is not met, and the model is to go on all the same.")
    control = models.TextField(help_text="What makes up for it meanwhile.")
    until = models.DateField(help_text="The last day on which it counts.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    answer = models.CharField(max_length=9, choices=Answer, blank=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    answered_at = models.DateTimeField(null=True)
    comment = models.TextField(blank=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    revoked_at = models.DateTimeField(null=True)
    revocation = models.TextField(blank=True, help_text="Why it was revoked.")

    class Meta:
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["handoff", "kind", "requirement"], condition=Q(answer=""), name="waiver_one_open"
            ),
            models.CheckConstraint(condition=~Q(reason="") & ~Q(control=""), name="waiver_says_why_and_what_instead"),
            models.CheckConstraint(
                condition=Q(answer="", answered_by=None, answered_at=None)
                | Q(answer__in=["approved", "withdrawn"], answered_by__isnull=False, answered_at__isnull=False)
                | Q(answer="refused", answered_by__isnull=False, answered_at__isnull=False) & ~Q(comment=""),
                name="waiver_answered_whole",
            ),
            models.CheckConstraint(
                condition=Q(until__gte=F("asked_at") - TWO_DAYS, until__lte=F("asked_at") + LONGEST + TWO_DAYS),
                name="waiver_ends_within_a_year",
            ),
            models.CheckConstraint(
                condition=Q(revoked_by=None, revoked_at=None, revocation="")
                | Q(answer="approved", revoked_by__isnull=False, revoked_at__isnull=False) & ~Q(revocation=""),
                name="waiver_revoked_whole",
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(
                name="fixed",
                fields=["handoff", "kind", "requirement", "reason", "control", "until", "asked_by", "asked_at"],
            ),
            pgtrigger.Protect(
                name="answered_once", operation=pgtrigger.Update, condition=pgtrigger.Condition(ANSWERED_ANEW)
            ),
            pgtrigger.Protect(
                name="revoked_once", operation=pgtrigger.Update, condition=pgtrigger.Q(old__revoked_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="two_people",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                condition=pgtrigger.Q(new__answer__in=["approved", "refused"]),
                func=TWO_PEOPLE,
            ),
            pgtrigger.Trigger(
                name="unbarred",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                condition=pgtrigger.Q(new__answer__in=["approved", "refused"]),
                func=UNBARRED,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.requirement}"

    @property
    def state(self) -> str:
        """Return where it stands today: open, approved, refused, withdrawn, revoked or ended."""
        return self.state_on(timezone.localdate())

    def state_on(self, day: date) -> str:
        """Return where it stands on a day; it ends by itself after its last day, and nothing is written for that."""
        if self.revoked_at is not None:
            return "revoked"
        if self.answer == self.Answer.APPROVED and self.until < day:
            return "ended"
        return self.answer or "open"
