"""Handoffs: one offer of one sealed version to one environment under one policy revision."""

import uuid
from datetime import date
from typing import Any

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from handoff.models.policies import PolicyRevision
from handoff.rules.policies import UNION_OF
from handoff.rules.retention import kept_until, years_in
from handoff.states import MOVES, OPEN, State, pairs
from models_registry.models import Environment, ModelVersion, RegisteredModel

# What was frozen at the offer changes only in the transaction in which an adoption is signed, and only in review.
ADOPTED = """
    IF OLD.state <> 'in_review' OR NEW.state <> 'in_review' OR NOT EXISTS (
        SELECT FROM handoff_adoption a WHERE a.handoff_id = NEW.id AND a.from_digest = OLD.policy_digest
           AND a.to_digest = NEW.policy_digest AND a.adopted_at = CURRENT_TIMESTAMP) THEN
        RAISE EXCEPTION 'pgtrigger: Cannot update what was frozen at the offer; a signed adoption changes it.';
    END IF;
    RETURN NEW;
"""


class Handoff(models.Model):
    """One offer. Its state is the last legal move; whether a gate is open is computed, never stored.

    What people and workers do about it (answers, sign-offs, findings, waivers) are rows beside it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(help_text="Counts the handoffs of one model.")
    model = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="handoffs")
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="handoffs")
    source = models.ForeignKey(Environment, models.PROTECT, related_name="handoffs_from")
    target = models.ForeignKey(Environment, models.PROTECT, related_name="handoffs_to")
    state = models.CharField(max_length=12, choices=State, default=State.DRAFT)
    note = models.TextField(blank=True, help_text="What the receiving side should know.")
    bindings = models.JSONField(default=dict, help_text="How the model will be connected in the target.")
    policy_revision = models.ForeignKey(PolicyRevision, models.PROTECT, null=True, related_name="handoffs")
    policy = models.JSONField(null=True, help_text="The policy as it was copied when the handoff was offered.")
    report = models.JSONField(null=True, help_text="The difference report as it was computed when offered.")
    policy_digest = models.CharField(max_length=64, blank=True)
    report_digest = models.CharField(max_length=64, blank=True)
    drafted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    drafted_at = models.DateTimeField(db_default=Now(), editable=False)
    offered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    offered_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    moved_at = models.DateTimeField(db_default=Now())
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering = ["-drafted_at"]
        indexes = [
            models.Index(fields=["model", "target", "number"], name="handoff_by_model_and_place"),
            models.Index(fields=["target", "state"], name="handoff_by_place_and_state"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="handoff_number_once"),
            models.UniqueConstraint(
                fields=["version", "target"],
                condition=Q(state__in=OPEN),
                name="handoff_one_open_per_version_and_target",
            ),
            models.CheckConstraint(condition=Q(state__in=State.values), name="handoff_state_known"),
            models.CheckConstraint(condition=~Q(source=F("target")), name="handoff_between_two_environments"),
            models.CheckConstraint(
                condition=Q(state__in=[State.DRAFT, State.WITHDRAWN])
                | Q(
                    offered_by__isnull=False,
                    offered_at__isnull=False,
                    policy_revision__isnull=False,
                    policy__isnull=False,
                    report__isnull=False,
                ),
                name="handoff_offered_is_complete",
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="legal_moves", field="state", transitions=pairs(MOVES)),
            pgtrigger.Protect(
                name="offer_is_fixed",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "number", "model", "version", "source", "target", "drafted_by", "drafted_at"
                ),
            ),
            pgtrigger.Protect(
                name="offer_is_made_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__offered_at__isnull=False)
                & (
                    pgtrigger.Q(old__offered_by__df=pgtrigger.F("new__offered_by"))
                    | pgtrigger.Q(old__offered_at__df=pgtrigger.F("new__offered_at"))
                ),
            ),
            pgtrigger.Trigger(
                name="policy_is_fixed",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                func=ADOPTED,
                condition=pgtrigger.Q(old__offered_at__isnull=False)
                & (
                    pgtrigger.Q(old__policy_revision__df=pgtrigger.F("new__policy_revision"))
                    | pgtrigger.Q(old__policy__df=pgtrigger.F("new__policy"))
                    | pgtrigger.Q(old__report__df=pgtrigger.F("new__report"))
                    | pgtrigger.Q(old__policy_digest__df=pgtrigger.F("new__policy_digest"))
                    | pgtrigger.Q(old__report_digest__df=pgtrigger.F("new__report_digest"))
                ),
            ),
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} #{self.number}"

    @property
    def policies(self) -> list[dict[str, Any]]:
        """Return the policies under which it was offered: name, revision and digest; none for a draft."""
        if self.policy is None or self.policy_revision is None:
            return []
        first = self.policy_revision
        one = {"policy": first.policy.slug, "revision": first.number, "digest": self.policy_digest}
        return list(self.policy.get(UNION_OF) or [one])

    @property
    def kept_years(self) -> int:
        """Return for how many years its records are kept once it has ended, by the policy that it was offered under."""
        return years_in(self.policy)

    @property
    def kept_until(self) -> date | None:
        """Return until when its records are kept at least; None while it is under way or live."""
        goes_on = self.state in (*OPEN, State.LIVE)
        return None if goes_on else kept_until(self.moved_at, self.kept_years)

    @property
    def under(self) -> str:
        """Return the policies under which it was offered, as people call them; nothing for a draft."""
        if len(self.policies) < 2:
            return str(self.policy_revision or "")
        return " + ".join(f"{one['policy']} r{one['revision']}" for one in self.policies)


class Return(models.Model):
    """Why a handoff went back to data science: reason codes, words, and what must be tested again."""

    class Reason(models.TextChoices):
        MISSING_DEPENDENCY = "missing_dependency", "missing dependency"
        CONTRACT_BREACH = "contract_breach", "contract breach"
        PERFORMANCE = "performance", "performance"
        COST = "cost", "cost"
        SECURITY = "security", "security"
        DOCUMENTATION = "documentation", "documentation"
        OPERABILITY = "operability", "operability"

    handoff = models.OneToOneField(Handoff, models.PROTECT, related_name="return_note")
    reasons = models.JSONField(help_text="A list of reason codes.")
    comment = models.TextField()
    retests = models.JSONField(default=list, help_text="The promotion tests that the next version must pass again.")
    returned_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    returned_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(reasons=[]), name="return_has_a_reason")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"return of {self.handoff_id}"
