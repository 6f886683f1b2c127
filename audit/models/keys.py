"""Public keys that the site has signed with. Private keys never come near the database."""

import pgtrigger
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now

NAME = Func(
    Func(F("public_key"), function="sha256", output_field=models.BinaryField()),
    Value("hex"),
    function="encode",
    output_field=models.CharField(),
)


class SigningKey(models.Model):
    """One Ed25519 key of the site, called by the SHA-256 of its raw bytes. What it signed stays provable for ever."""

    id = models.CharField(primary_key=True, max_length=64, editable=False)
    public_key = models.BinaryField(help_text="The 32 raw bytes.")
    registered_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True)
    retired_because = models.TextField(blank=True)
    compromised_since = models.DateTimeField(null=True, help_text="From then on its signatures prove nothing.")
    compromised_because = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["registered_at"]
        constraints = [
            models.CheckConstraint(condition=Q(id=NAME), name="signing_key_is_called_by_its_hash"),
            models.CheckConstraint(
                condition=Q(retired_at=None, retired_because="") | Q(retired_at__isnull=False) & ~Q(retired_because=""),
                name="signing_key_retired_with_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(compromised_since=None, compromised_because="")
                | Q(compromised_since__isnull=False, retired_at__isnull=False) & ~Q(compromised_because=""),
                name="signing_key_compromised_signs_no_more",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="only_retiring",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("id", "public_key", "registered_at"),
            ),
            pgtrigger.Protect(
                name="retired_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__retired_at__isnull=False)
                & (
                    pgtrigger.Q(old__retired_at__df=pgtrigger.F("new__retired_at"))
                    | pgtrigger.Q(old__retired_because__df=pgtrigger.F("new__retired_because"))
                ),
            ),
            pgtrigger.Protect(
                name="compromised_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__compromised_since__isnull=False),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.id[:16]
