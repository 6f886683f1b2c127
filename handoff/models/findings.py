"""Findings: what came in the way of an approval, found by workers or raised by people."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from handoff.models.answers import Answer
from handoff.models.handoffs import Handoff
from models_registry.models import Blob, Environment

NO_PROOF = Q(proof_kind="", proof_blob=None, proof_link="", proof_answer=None)
PROOF = (
    Q(proof_kind="file", proof_blob__isnull=False, proof_link="", proof_answer=None)
    | Q(proof_kind="link", proof_blob=None, proof_answer=None) & ~Q(proof_link="")
    | Q(proof_kind="answer", proof_blob=None, proof_link="", proof_answer__isnull=False)
)
CLOSING_FIELDS = [
    "closed_at",
    "closing",
    "closed_by",
    "comment",
    "proof_kind",
    "proof_label",
    "proof_blob",
    "proof_link",
    "proof_answer",
]


class Finding(models.Model):
    """Something that is not as it should be: a drift, or an issue that somebody raised. It is closed, never changed."""

    class Kind(models.TextChoices):
        DRIFT = "drift", "drift"
        ISSUE = "issue", "issue"
        EVIDENCE = "evidence", "evidence"
        APPROVAL = "approval", "approval"
        WAIVER = "waiver", "waiver"
        SERVED = "served", "what is served"
        BREAK_GLASS = "glass", "break-glass"
        INVARIANT = "always", "broken invariant"
        MONITORING = "watch", "monitoring"
        REATTESTATION = "attest", "re-attestation"

    class Severity(models.TextChoices):
        LOW = "low", "low"
        MEDIUM = "medium", "medium"
        HIGH = "high", "high"

    class Closing(models.TextChoices):
        RESOLVED = "resolved", "resolved"
        ACCEPTED = "accepted", "accepted"
        REPLACED = "replaced", "replaced"
        FIXED = "fixed", "fixed"
        CARRIED = "carried", "carried over to the next version"

    class Proof(models.TextChoices):
        FILE = "file", "file"
        LINK = "link", "link"
        ANSWER = "answer", "answer to a checklist item"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, models.PROTECT, null=True, related_name="findings")
    environment = models.ForeignKey(
        Environment,
        models.PROTECT,
        null=True,
        related_name="findings",
        help_text="Where something is served that belongs to no handoff.",
    )
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.DRIFT)
    items = models.JSONField(
        help_text="A sentence under its key: of each difference that came in the way, or the issue."
    )
    details = models.TextField(blank=True)
    subject = models.CharField(max_length=60, blank=True, default="", help_text="What a worker raised it about.")
    severity = models.CharField(max_length=6, choices=Severity)
    suspends = models.BooleanField(help_text="Whether no gate opens, and no approval stands, until this is closed.")
    raised_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", help_text="Empty: a worker."
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", help_text="Who sees to it."
    )
    another_closes = models.BooleanField(default=False, help_text="Whether its owner may not close it.")
    inherited_from = models.ForeignKey("self", models.PROTECT, null=True, related_name="heirs")
    raised_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField(help_text="When somebody should have answered for it.")
    closed_at = models.DateTimeField(null=True)
    closing = models.CharField(max_length=8, choices=Closing, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", help_text="Empty: a worker."
    )
    comment = models.TextField(blank=True)
    proof_kind = models.CharField(max_length=6, choices=Proof, blank=True, help_text="What shows that it is fixed.")
    proof_label = models.CharField(max_length=200, blank=True)
    proof_blob = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    proof_link = models.URLField(max_length=500, blank=True)
    proof_answer = models.ForeignKey(Answer, models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["handoff"], condition=Q(closed_at=None, kind="drift"), name="finding_one_open_per_handoff"
            ),
            models.UniqueConstraint(
                fields=["handoff", "subject"],
                condition=Q(closed_at=None) & ~Q(subject=""),
                name="finding_one_open_per_subject",
            ),
            models.UniqueConstraint(
                fields=["environment", "subject"],
                condition=Q(closed_at=None) & ~Q(subject=""),
                name="finding_one_open_per_place_and_subject",
            ),
            models.CheckConstraint(
                condition=Q(handoff__isnull=False, environment=None) | Q(handoff=None, environment__isnull=False),
                name="finding_of_a_handoff_or_an_environment",
            ),
            models.CheckConstraint(
                condition=Q(environment=None)
                | Q(kind="served", suspends=False, another_closes=False, inherited_from=None, proof_answer=None)
                & ~Q(subject=""),
                name="finding_of_an_environment_is_of_what_is_served",
            ),
            models.UniqueConstraint(fields=["handoff", "inherited_from"], name="finding_inherited_once"),
            models.CheckConstraint(condition=~Q(items={}), name="finding_of_something"),
            models.CheckConstraint(
                condition=~Q(kind="issue") | Q(owner__isnull=False, raised_by__isnull=False),
                name="finding_raised_by_somebody_has_an_owner",
            ),
            models.CheckConstraint(
                condition=Q(closed_at=None, closing="", closed_by=None) & NO_PROOF
                | Q(closed_at__isnull=False, closing__in=["resolved", "replaced", "carried"], closed_by=None) & NO_PROOF
                | Q(closed_at__isnull=False, closing="accepted", kind="drift", closed_by__isnull=False)
                & ~Q(comment="")
                & NO_PROOF
                | Q(closed_at__isnull=False, closing="fixed", closed_by__isnull=False)
                & ~Q(kind__in=["drift", "approval", "glass", "always", "attest"])
                & PROOF,
                name="finding_closed_with_a_cause",
            ),
            models.CheckConstraint(
                condition=Q(another_closes=False) | Q(closed_by=None) | Q(owner=None) | ~Q(closed_by=F("owner")),
                name="finding_closed_by_another",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="only_closing",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=CLOSING_FIELDS),
            ),
            pgtrigger.Protect(
                name="closed_once", operation=pgtrigger.Update, condition=pgtrigger.Q(old__closed_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    @property
    def place(self) -> Handoff | Environment:
        """Return the handoff or the environment that it is about: it is always one of both."""
        found = self.handoff or self.environment
        assert found is not None
        return found

    def __str__(self) -> str:
        return "; ".join(self.items.values())
