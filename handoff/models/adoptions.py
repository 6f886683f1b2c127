"""Adoptions: an open handoff takes over the policies as they are published now, signed by somebody who may."""

import uuid
from datetime import datetime
from typing import Any

import pgtrigger
from django.conf import settings
from django.contrib.postgres.functions import TransactionNow
from django.db import models

from audit.models import SigningKey
from audit.models.names import NameText
from handoff.models.handoffs import Handoff
from handoff.models.signoffs import SIGNED, Reauthentication
from handoff.rules.statements import envelope_of


class Adoption(models.Model):
    """One act by which a handoff in review adopted other policies. What it had before is kept here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="adoptions")
    before = models.JSONField(help_text="The policy and the report that were frozen until then.")
    from_digest = models.CharField(max_length=64)
    to_digest = models.CharField(max_length=64)
    role = models.CharField(max_length=20)
    adopted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    printed_name = NameText(people=("adopted_by_id",), max_length=200)
    reason = models.TextField()
    statement = models.TextField(help_text="The canonical bytes of the signed statement.")
    statement_digest = models.CharField(max_length=64, unique=True)
    key = models.ForeignKey(SigningKey, models.PROTECT, related_name="+")
    signature = models.CharField(max_length=88, help_text="Of the statement in a DSSE envelope, by that key; base64.")
    reauthentication = models.OneToOneField(Reauthentication, models.PROTECT, related_name="adoption")
    adopted_at = models.DateTimeField(db_default=TransactionNow())

    class Meta:
        ordering = ["adopted_at"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(from_digest=models.F("to_digest")), name="adoption_changes_something"
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="adoption_has_a_reason"),
        ]
        triggers = [
            pgtrigger.Trigger(name="signed_by_a_key", operation=pgtrigger.Insert, when=pgtrigger.Before, func=SIGNED),
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    @property
    def signed_at(self) -> datetime:
        """Return when it was signed, as other signatures call it."""
        return self.adopted_at

    @property
    def envelope(self) -> dict[str, Any]:
        """Return the statement in its envelope, which proves itself."""
        return envelope_of(self.statement, self.key_id, self.signature)

    def __str__(self) -> str:
        return f"{self.printed_name} ({self.role})"
