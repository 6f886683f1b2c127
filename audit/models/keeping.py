"""When what keeps the records safe was last done, and how it ended.

Proofs and looks write it, the health page reads it.
"""

from django.db import models
from django.db.models import Q


class Keeping(models.Model):
    """One kind of keeping: its last time. No record of who did what, so it is written anew each time."""

    class Kind(models.TextChoices):
        TRAIL = "trail", "proof of the trail"
        SIGNATURES = "signatures", "proof of the signatures"
        STORE = "store", "hashing of stored evidence"
        ANCHORS = "anchors", "file of anchors"

    kind = models.CharField(primary_key=True, max_length=10, choices=Kind)
    at = models.DateTimeField()
    whole = models.BooleanField(help_text="Whether everything was as it should be.")
    words = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["trail", "signatures", "store", "anchors"]), name="keeping_kind_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {'whole' if self.whole else self.words}"
