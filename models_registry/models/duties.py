"""Duties: what each role answers for, in published revisions, and who has acknowledged them. All append-only."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from models_registry.models.environments import Environment
from models_registry.roles import Role
from models_registry.rules.raci import ACTIVITIES, KINDS, LETTERS

KEPT = pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)

EXPECTED = len(ACTIVITIES) * len(KINDS)
WHOLE = f"""
    IF (SELECT count(*) FROM models_registry_racientry e
         WHERE e.revision_id = NEW.id AND e.letter = 'accountable') <> {EXPECTED} THEN
        RAISE EXCEPTION 'exactly one role is accountable for each activity and kind of environment'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'raci_whole';
    END IF;
    RETURN NULL;
"""  # noqa: S608 - a number that is counted above
PUBLISHED = """
    IF (SELECT r.published_at < transaction_timestamp() FROM models_registry_racirevision r
         WHERE r.id = NEW.revision_id) THEN
        RAISE EXCEPTION 'a published matrix never changes'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'raci_published';
    END IF;
    RETURN NEW;
"""


class DutyRevision(models.Model):
    """What a role answers for, from its publication on until the next revision."""

    role = models.CharField(max_length=20, choices=Role)
    number = models.PositiveIntegerField()
    text = models.TextField(help_text="One responsibility a line.")
    digest = models.CharField(max_length=64)
    reason = models.TextField(help_text="What changed, and why: it is shown to those who must acknowledge it again.")
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    published_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = "duty"
        verbose_name_plural = "duties"
        ordering = ["role", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["role", "number"], name="duty_numbered_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="duty_of_a_known_role"),
            models.CheckConstraint(condition=~Q(text="") & ~Q(reason=""), name="duty_says_what_and_why"),
        ]
        triggers = [KEPT]

    def __str__(self) -> str:
        return f"{Role(self.role).label}, revision {self.number}"


class DutyAcknowledgement(models.Model):
    """A person has read what a role answers for, and takes it on. It is for exactly the text with this digest."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    role = models.CharField(max_length=20, choices=Role)
    number = models.PositiveIntegerField(help_text="0: the text that comes with the product.")
    digest = models.CharField(max_length=64)
    acknowledged_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-acknowledged_at"]
        constraints = [
            models.UniqueConstraint(fields=["person", "role", "digest"], name="duty_acknowledged_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="duty_acknowledged_of_a_known_role"),
        ]
        triggers = [KEPT]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.role} {self.number}"


class RaciRevision(models.Model):
    """Who is responsible, accountable, consulted and informed, from its publication on until the next revision."""

    number = models.PositiveIntegerField(unique=True)
    source = models.TextField(help_text="The YAML as it was published.")
    reason = models.TextField(help_text="What changed, and why.")
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    published_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = "RACI matrix"
        verbose_name_plural = "RACI matrices"
        ordering = ["-number"]
        triggers = [
            KEPT,
            pgtrigger.Trigger(
                name="whole",
                operation=pgtrigger.Insert,
                when=pgtrigger.After,
                timing=pgtrigger.Deferred,
                func=WHOLE,
            ),
        ]

    def __str__(self) -> str:
        return f"RACI, revision {self.number}"


class RaciEntry(models.Model):
    """One role's letter for one activity in one kind of environment."""

    revision = models.ForeignKey(RaciRevision, models.PROTECT, related_name="entries")
    activity = models.CharField(max_length=20)
    kind = models.CharField(max_length=10)
    role = models.CharField(max_length=20)
    letter = models.CharField(max_length=11)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["revision", "activity", "kind"],
                condition=Q(letter="accountable"),
                name="raci_one_accountable",
            ),
            models.UniqueConstraint(
                fields=["revision", "activity", "kind", "role", "letter"], name="raci_each_letter_once"
            ),
            models.CheckConstraint(
                condition=Q(
                    activity__in=list(ACTIVITIES),
                    kind__in=Environment.Kind.values,
                    role__in=Role.values,
                    letter__in=LETTERS,
                ),
                name="raci_of_known_things",
            ),
        ]
        triggers = [
            KEPT,
            pgtrigger.Trigger(name="published", operation=pgtrigger.Insert, when=pgtrigger.Before, func=PUBLISHED),
        ]

    def __str__(self) -> str:
        return f"{self.activity} ({self.kind}): {self.role} {self.letter}"
