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
