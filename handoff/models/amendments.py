"""Amendments: a light handoff of what is live already, which changes how it is connected and nothing that is locked."""

import uuid
from typing import Any

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from audit.models import SigningKey
from audit.models.accounts import SAME_PERSONS_STAY
from audit.models.names import NameText
from handoff.models.deployments import Deployment
from handoff.models.jobs import Job
from handoff.models.signoffs import SIGNED, Reauthentication
from handoff.rules.statements import envelope_of
from handoff.states import AMENDMENT_MOVES, AmendmentState, pairs

FREE = ["state", "because", "job", "order", "report", "log", "ended_at"]
DISTINCT_PERSONS = f"""
{SAME_PERSONS_STAY}
    IF EXISTS (
        SELECT FROM handoff_amendmentsignoff s
          JOIN audit_account o ON o.id IN (s.signer_id, s.behalf_of_id)
          JOIN audit_account n ON n.id IN (NEW.signer_id, NEW.behalf_of_id)
         WHERE s.amendment_id = NEW.amendment_id
           AND COALESCE(o.same_person_id, o.id) = COALESCE(n.same_person_id, n.id)) THEN
        RAISE EXCEPTION 'one natural person signs an amendment once, whichever account and for whomever'
        USING ERRCODE = 'unique_violation', CONSTRAINT = 'amendment_signoff_distinct_persons';
    END IF;
    RETURN NEW;
"""
WAITING = [AmendmentState.PROPOSED, AmendmentState.APPLYING]


class Amendment(models.Model):
    """One change of a live deployment's bindings or consumers. What it proposes is written once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey(Deployment, models.PROTECT, related_name="amendments")
    number = models.PositiveIntegerField(help_text="Counts the amendments of a deployment.")
    state = models.CharField(max_length=9, choices=AmendmentState, default=AmendmentState.PROPOSED)
    reason = models.TextField(help_text="Why it is wanted.")
    before = models.JSONField(help_text="The bindings that were in force when it was proposed.")
    bindings = models.JSONField(help_text="The bindings that it proposes, whole, each stream pinned by its digest.")
    consumers = models.JSONField(default=list, help_text="The consumers that it adds, changes or retires.")
    changes = models.JSONField(help_text="What is different, part by part.")
    requirements = models.JSONField(help_text="Who must sign, as the policy said when it was proposed.")
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    job = models.OneToOneField(Job, models.PROTECT, null=True, related_name="amendment")
    order = models.BigIntegerField(null=True, help_text="The number of its order; the highest applied one is in force.")
    report = models.JSONField(default=dict, help_text="The items of the difference report that are as this one signed.")
    log = models.JSONField(default=list, help_text="The steps as they happened.")
    because = models.TextField(blank=True, help_text="Why it ended as it did.")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-proposed_at"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "number"], name="amendment_number_once"),
            models.UniqueConstraint(
                fields=["deployment"], condition=Q(state="applying"), name="amendment_one_being_applied"
            ),
            models.CheckConstraint(condition=Q(state__in=AmendmentState.values), name="amendment_state_known"),
            models.CheckConstraint(condition=~Q(changes=[]), name="amendment_of_something"),
            models.CheckConstraint(condition=~Q(requirements=[]), name="amendment_signed_by_somebody"),
            models.CheckConstraint(condition=~Q(reason=""), name="amendment_has_a_reason"),
            models.CheckConstraint(
                condition=Q(state__in=WAITING, ended_at=None) | ~Q(state__in=WAITING) & Q(ended_at__isnull=False),
                name="amendment_ended_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["applying", "applied"]) | Q(job__isnull=False),
                name="amendment_applied_by_a_job",
            ),
            models.CheckConstraint(
                condition=~Q(state="applied") | Q(order__isnull=False), name="amendment_applied_has_an_order"
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="legal_moves", field="state", transitions=pairs(AMENDMENT_MOVES)),
            pgtrigger.Protect(
                name="proposal_is_fixed", operation=pgtrigger.Update, condition=pgtrigger.AnyChange(exclude=FREE)
            ),
            pgtrigger.Protect(
                name="ended_stays", operation=pgtrigger.Update, condition=pgtrigger.Q(old__ended_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"amendment {self.number} of {self.deployment}"


class AmendmentSignOff(models.Model):
    """One person's decision, in one role, about exactly one amendment. It is written once."""

    class Decision(models.TextChoices):
        APPROVE = "approve", "approve"
        REFUSE = "refuse", "refuse"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    amendment = models.ForeignKey(Amendment, models.PROTECT, related_name="signoffs")
    requirement = models.SlugField()
    role = models.CharField(max_length=20)
    signer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    behalf_of = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="Who delegated the role to the signer; empty where it is their own.",
    )
    printed_name = NameText(people=("signer_id", "behalf_of_id"), max_length=200)
    decision = models.CharField(max_length=8, choices=Decision)
    meaning = models.CharField(max_length=40)
    comment = models.TextField(blank=True)
    scope = models.JSONField(help_text="The digests of all that was signed.")
    scope_digest = models.CharField(max_length=64)
    statement = models.TextField(help_text="The canonical bytes of the signed statement.")
    statement_digest = models.CharField(max_length=64, unique=True)
    key = models.ForeignKey(SigningKey, models.PROTECT, related_name="+")
    signature = models.CharField(max_length=88, help_text="Of the statement in a DSSE envelope, by that key; base64.")
    reauthentication = models.OneToOneField(Reauthentication, models.PROTECT, related_name="amendment_signoff")
    signed_at = models.DateTimeField()

    class Meta:
        verbose_name = "sign-off of an amendment"
        verbose_name_plural = "sign-offs of amendments"
        ordering = ["signed_at"]
        constraints = [
            models.UniqueConstraint(fields=["amendment", "signer"], name="amendment_signoff_one_per_person"),
            models.UniqueConstraint(fields=["amendment", "requirement"], name="amendment_signoff_one_per_requirement"),
            models.CheckConstraint(
                condition=Q(behalf_of=None) | ~Q(behalf_of=F("signer")), name="amendment_signoff_not_for_oneself"
            ),
            models.CheckConstraint(
                condition=Q(decision__in=["approve", "refuse"]), name="amendment_signoff_decision_known"
            ),
            models.CheckConstraint(
                condition=Q(decision="approve") | ~Q(comment=""), name="amendment_signoff_refusal_has_a_comment"
            ),
        ]
        triggers = [
            pgtrigger.Trigger(name="signed_by_a_key", operation=pgtrigger.Insert, when=pgtrigger.Before, func=SIGNED),
            pgtrigger.Trigger(
                name="distinct_persons", operation=pgtrigger.Insert, when=pgtrigger.Before, func=DISTINCT_PERSONS
            ),
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.printed_name} ({self.role}): {self.decision}"

    @property
    def envelope(self) -> dict[str, Any]:
        """Return the statement in its envelope, which proves itself."""
        return envelope_of(self.statement, self.key_id, self.signature)
