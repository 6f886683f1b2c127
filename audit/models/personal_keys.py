"""Personal keys: public halves of the keys that people hold themselves, in a device or a security token."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from audit.models.keys import NAME

NO_LABEL = "a key"
LABEL_GOES = f"""
    IF NEW.name <> '{NO_LABEL}' OR NOT EXISTS (
        SELECT FROM audit_account a WHERE a.id = NEW.account_id AND a.pseudonymised_at IS NOT NULL) THEN
        RAISE EXCEPTION 'what somebody calls a key goes with their name, and is never edited'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'personal_key_label_only_goes';
    END IF;
    RETURN NEW;
"""


class PersonalKey(models.Model):
    """One key of one person, called by the SHA-256 of its DER form. What it signed stays provable for ever."""

    id = models.CharField(primary_key=True, max_length=64, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="personal_keys")
    name = models.CharField(max_length=60, help_text="What the person calls it.")
    site = models.CharField(max_length=255, help_text="The host name that it was made for; it signs on no other.")
    credential = models.BinaryField(unique=True, help_text="The name that the authenticator knows it by.")
    public_key = models.BinaryField(help_text="SubjectPublicKeyInfo as DER.")
    counter = models.BigIntegerField(default=0, help_text="How often it has signed, as it says; 0 when it does not.")
    registered_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True)
    retired_because = models.TextField(blank=True)

    class Meta:
        ordering = ["registered_at"]
        constraints = [
            models.CheckConstraint(condition=Q(id=NAME), name="personal_key_is_called_by_its_hash"),
            models.CheckConstraint(
                condition=Q(retired_at=None, retired_because="") | Q(retired_at__isnull=False) & ~Q(retired_because=""),
                name="personal_key_retired_with_a_reason",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="only_counted_and_retired",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["name", "counter", "retired_at", "retired_because"]),
            ),
            pgtrigger.Trigger(
                name="label_only_goes",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                condition=pgtrigger.AnyChange("name"),
                func=LABEL_GOES,
            ),
            pgtrigger.Protect(
                name="retired_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__retired_at__isnull=False)
                & (
                    pgtrigger.Q(old__counter__df=pgtrigger.F("new__counter"))
                    | pgtrigger.Q(old__retired_at__df=pgtrigger.F("new__retired_at"))
                    | pgtrigger.Q(old__retired_because__df=pgtrigger.F("new__retired_because"))
                ),
            ),
            pgtrigger.Protect(
                name="counter_only_rises",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(new__counter__lt=pgtrigger.F("old__counter")),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.id[:16]})"
