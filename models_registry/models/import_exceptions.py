"""Exceptions to an import policy: one library in one exact version, asked for, answered once, let in until a day."""

import uuid
from datetime import date, timedelta

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from models_registry.models.environments import Environment

STATES = ("open", "granted", "refused", "withdrawn", "revoked", "ended")
LONGEST = timedelta(days=366)
TWO_DAYS = timedelta(days=2)
ANSWERED_ANEW = """OLD."answer" <> '' AND
    (OLD."answer", OLD."answered_by_id", OLD."answered_at", OLD."comment", OLD."until") IS DISTINCT FROM
    (NEW."answer", NEW."answered_by_id", NEW."answered_at", NEW."comment", NEW."until")"""
TWO_PEOPLE = """
    PERFORM 1 FROM audit_account asker, audit_account answerer
      WHERE asker.id = NEW.asked_by_id AND answerer.id = NEW.answered_by_id
        AND (answerer.kind <> 'person' OR COALESCE(answerer.same_person_id, answerer.id) = COALESCE(
             (SELECT COALESCE(r.same_person_id, r.id) FROM audit_account r WHERE r.id = asker.responsible_id),
             asker.same_person_id, asker.id));
    IF FOUND THEN RAISE EXCEPTION 'a person other than the one who asked answers' USING ERRCODE = 'check_violation',
        CONSTRAINT = 'exception_two_people'; END IF;
    RETURN NEW;
"""


class ImportException(models.Model):
    """A request to let a prohibited library in, and its answer. A correction is a new request."""

    class Answer(models.TextChoices):
        GRANTED = "granted", "granted"
        REFUSED = "refused", "refused"
        WITHDRAWN = "withdrawn", "withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="exceptions")
    library = models.CharField(max_length=200)
    version = models.CharField(max_length=100, help_text="Exactly this one; another needs another exception.")
    licence = models.CharField(max_length=200, blank=True, help_text="Where the licence is why it is prohibited.")
    reason = models.TextField(help_text="What it is needed for, and why nothing that is allowed will do.")
    measure = models.TextField(blank=True, help_text="What is done to make up for the risk meanwhile.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    answer = models.CharField(max_length=9, choices=Answer, blank=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    answered_at = models.DateTimeField(null=True)
    comment = models.TextField(blank=True)
    until = models.DateField(null=True, help_text="The last day on which it is let in.")
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    revoked_at = models.DateTimeField(null=True)
    revocation = models.TextField(blank=True, help_text="Why it was revoked.")

    class Meta:
        verbose_name = "import exception"
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "library", "version"], condition=Q(answer=""), name="exception_one_open"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="exception_has_a_reason"),
            models.CheckConstraint(
                condition=Q(answer="", answered_by=None, answered_at=None, until=None)
                | Q(answer="granted", answered_by__isnull=False, answered_at__isnull=False, until__isnull=False)
                | Q(answer="refused", answered_by__isnull=False, answered_at__isnull=False, until=None) & ~Q(comment="")
                | Q(answer="withdrawn", answered_by__isnull=False, answered_at__isnull=False, until=None),
                name="exception_answered_whole",
            ),
            # Two days more on either side: the site's day may begin earlier or later than the database's.
            models.CheckConstraint(
                condition=Q(until=None)
                | Q(until__gte=F("answered_at") - TWO_DAYS, until__lte=F("answered_at") + LONGEST + TWO_DAYS),
                name="exception_ends_within_a_year",
            ),
            models.CheckConstraint(
                condition=Q(revoked_by=None, revoked_at=None, revocation="")
                | Q(answer="granted", revoked_by__isnull=False, revoked_at__isnull=False) & ~Q(revocation=""),
                name="exception_revoked_whole",
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(
                name="fixed",
                fields=[
                    "environment",
                    "library",
                    "version",
                    "licence",
                    "reason",
                    "measure",
                    "asked_by",
                    "asked_at",
                ],
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
                condition=pgtrigger.Q(new__answer__in=["granted", "refused"]),
                func=TWO_PEOPLE,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.library} {self.version}"

    @property
    def state(self) -> str:
        """Return where it stands today: open, granted, refused, withdrawn, revoked or ended."""
        return self.state_on(timezone.localdate())

    def state_on(self, day: date) -> str:
        """Return where it stands on a day; it ends by itself with its last day, and nothing is written for that."""
        if self.revoked_at is not None:
            return "revoked"
        if self.until is not None and self.until < day:
            return "ended"
        return self.answer or "open"
