"""Sign-offs: electronic signatures, and the confirmations of identity that each one uses up."""

import uuid
from typing import Any

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Cast, Concat, Now

from audit.models import SigningKey
from audit.models.accounts import SAME_PERSONS_STAY
from audit.models.names import NameText
from handoff.models.handoffs import Handoff
from handoff.rules.consumers import PREFIX
from handoff.rules.statements import envelope_of
from handoff.states import SignOffState

STANDING = {
    "approve": SignOffState.GIVEN,
    "conditional": SignOffState.GIVEN_WITH_CONDITIONS,
    "changes": SignOffState.CHANGES_REQUESTED,
    "refuse": SignOffState.REFUSED,
}
ENDED = {
    "changed": SignOffState.VOIDED,
    "anew": SignOffState.VOIDED,
    "merged": SignOffState.VOIDED,
    "withdrawn": SignOffState.WITHDRAWN,
    "expired": SignOffState.EXPIRED,
    "revoked": SignOffState.REVOKED,
}

SIGNED = """
    IF NOT EXISTS (SELECT FROM audit_signingkey k WHERE k.id = NEW.key_id AND k.retired_at IS NULL) THEN
        RAISE EXCEPTION 'A sign-off is signed by a key that is in use.' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
"""

DISTINCT_PERSONS = f"""
{SAME_PERSONS_STAY}
    IF EXISTS (
        SELECT FROM handoff_signoff s
          JOIN audit_account o ON o.id IN (s.signer_id, s.behalf_of_id)
          JOIN audit_account n ON n.id IN (NEW.signer_id, NEW.behalf_of_id)
         WHERE s.handoff_id = NEW.handoff_id AND s.gate = NEW.gate AND s.voided_at IS NULL
           AND COALESCE(o.same_person_id, o.id) = COALESCE(n.same_person_id, n.id)) THEN
        RAISE EXCEPTION 'one natural person signs once at a gate, whichever account and for whomever'
        USING ERRCODE = 'unique_violation', CONSTRAINT = 'signoff_distinct_persons';
    END IF;
    RETURN NEW;
"""

# The same as conflicts() in rules/duties.py says, for whoever writes past it; a test compares them. The lock waits for
# acts on the handoff that are under way, and is the service's own where a service writes.
UNBARRED = """
    PERFORM FROM handoff_handoff WHERE id = NEW.handoff_id FOR UPDATE;
    IF EXISTS (SELECT FROM audit_account n WHERE n.id IN (NEW.signer_id, NEW.behalf_of_id) AND n.kind <> 'person')
       OR (SELECT count(DISTINCT COALESCE(n.same_person_id, n.id)) FROM audit_account n
            WHERE n.id IN (NEW.signer_id, NEW.behalf_of_id)) <> num_nonnulls(NEW.signer_id, NEW.behalf_of_id) THEN
        RAISE EXCEPTION 'a natural person signs, for themselves or for another one'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'signoff_by_a_person';
    END IF;
    IF EXISTS (
        SELECT FROM (
            SELECT unnest(ARRAY[h.drafted_by_id, h.offered_by_id, v.created_by_id, v.nominated_by_id]) AS id
              FROM handoff_handoff h JOIN models_registry_modelversion v ON v.id = h.version_id
             WHERE h.id = NEW.handoff_id
             UNION
            SELECT e.set_by_id FROM models_registry_element e JOIN handoff_handoff h ON h.version_id = e.version_id
             WHERE h.id = NEW.handoff_id
             UNION
            SELECT a.answered_by_id FROM handoff_answer a WHERE a.handoff_id = NEW.handoff_id
             UNION
            SELECT unnest(ARRAY[s.signer_id, s.behalf_of_id]) FROM handoff_signoff s
             WHERE s.handoff_id = NEW.handoff_id AND s.voided_at IS NULL AND s.role <> NEW.role
             UNION
            SELECT unnest(ARRAY[b.confirmed_by_id, b.behalf_of_id]) FROM handoff_breakglass b
             WHERE b.handoff_id = NEW.handoff_id AND b.role <> NEW.role
          ) acted
          JOIN audit_account o ON o.id = acted.id
          LEFT JOIN audit_account r ON r.id = o.responsible_id
          JOIN audit_account n ON n.id IN (NEW.signer_id, NEW.behalf_of_id)
         WHERE COALESCE(r.same_person_id, r.id, o.same_person_id, o.id) = COALESCE(n.same_person_id, n.id)) THEN
        RAISE EXCEPTION 'who created, nominated, offered or answered does not sign, and one person signs in one role'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'signoff_unbarred';
    END IF;
    RETURN NEW;
"""


class Reauthentication(models.Model):
    """A person proved again who they are; good for one signature, for a few minutes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    method = models.CharField(max_length=20)
    confirmed_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    challenge = models.CharField(
        max_length=64, blank=True, default="", help_text="What a personal key signed: the hash of the one act."
    )
    assertion = models.JSONField(null=True, help_text="How a personal key confirmed it; empty for a password.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(assertion=None, challenge="") | Q(assertion__isnull=False) & ~Q(challenge=""),
                name="reauthentication_by_key_is_for_one_act",
            )
        ]
        triggers = [
            pgtrigger.Protect(
                name="used_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__used_at__isnull=False),
            ),
            pgtrigger.Protect(
                name="only_used",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["used_at"]),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} by {self.method}"


class SignOff(models.Model):
    """One person's decision, in one role, about exactly what `scope` names. Only the voiding may be added later."""

    class Decision(models.TextChoices):
        APPROVE = "approve", "approve"
        CONDITIONAL = "conditional", "approve with conditions"
        CHANGES = "changes", "ask for changes"
        REFUSE = "refuse", "refuse"

    class Ending(models.TextChoices):
        CHANGED = "changed", "voided"
        ANSWERED_ANEW = "anew", "voided"
        MERGED = "merged", "voided"
        WITHDRAWN = "withdrawn", "withdrawn"
        EXPIRED = "expired", "expired"
        REVOKED = "revoked", "revoked"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="signoffs")
    gate = models.CharField(max_length=8)
    requirement = models.SlugField()
    role = models.CharField(max_length=20)
    signer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="signoffs")
    behalf_of = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="Who delegated the role to the signer; empty where it is their own.",
    )
    printed_name = NameText(people=("signer_id", "behalf_of_id"), max_length=200)
    decision = models.CharField(max_length=11, choices=Decision)
    meaning = models.CharField(max_length=40)
    comment = models.TextField(blank=True)
    scope = models.JSONField(help_text="The digests of all that was signed.")
    scope_digest = models.CharField(max_length=64)
    statement = models.TextField(help_text="The canonical bytes of the signed statement.")
    statement_digest = models.CharField(max_length=64, unique=True)
    key = models.ForeignKey(
        SigningKey, models.PROTECT, null=True, related_name="+", help_text="Empty: given before there were keys."
    )
    signature = models.CharField(
        max_length=88, blank=True, default="", help_text="Of the statement in a DSSE envelope, by that key; base64."
    )
    reauthentication = models.OneToOneField(Reauthentication, models.PROTECT, related_name="signoff")
    signed_at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True)
    voided_as = models.CharField(
        max_length=9, choices=Ending, blank=True, default="", help_text="Empty for those of the first release, too."
    )
    voided_because = models.TextField(blank=True)

    class Meta:
        verbose_name = "sign-off"
        ordering = ["signed_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["handoff", "gate", "signer"],
                condition=Q(voided_at=None),
                name="signoff_one_per_person_and_gate",
            ),
            models.UniqueConstraint(
                fields=["handoff", "gate", "behalf_of"],
                condition=Q(voided_at=None, behalf_of__isnull=False),
                name="signoff_one_per_delegator_and_gate",
            ),
            models.CheckConstraint(
                condition=Q(behalf_of=None) | ~Q(behalf_of=F("signer")), name="signoff_not_for_oneself"
            ),
            models.CheckConstraint(
                condition=Q(decision__in=["approve", "conditional", "changes", "refuse"]), name="signoff_decision_known"
            ),
            models.CheckConstraint(
                condition=Q(voided_at=None, voided_as="", voided_because="")
                | Q(voided_at__isnull=False) & ~Q(voided_because=""),
                name="signoff_voided_with_a_cause",
            ),
            models.CheckConstraint(
                condition=Q(decision__in=["approve", "conditional"]) | ~Q(comment=""),
                name="signoff_refusal_has_a_comment",
            ),
            models.CheckConstraint(
                condition=~Q(role__startswith=PREFIX)
                | Q(role=Concat(Value(PREFIX), Cast("signer_id", models.CharField()))),
                name="signoff_owner_of_a_consumer_signs_alone",
            ),
            models.CheckConstraint(
                condition=Q(key=None, signature="") | Q(key__isnull=False) & ~Q(signature=""),
                name="signoff_signature_has_a_key",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(name="signed_by_a_key", operation=pgtrigger.Insert, when=pgtrigger.Before, func=SIGNED),
            pgtrigger.Trigger(
                name="distinct_persons",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func=DISTINCT_PERSONS,
            ),
            pgtrigger.Trigger(name="unbarred", when=pgtrigger.Before, operation=pgtrigger.Insert, func=UNBARRED),
            pgtrigger.Protect(
                name="only_voiding",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["voided_at", "voided_as", "voided_because"]),
            ),
            pgtrigger.Protect(
                name="voided_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__voided_at__isnull=False),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.printed_name} ({self.role}): {self.decision}"

    @property
    def state(self) -> SignOffState:
        """Return what became of it."""
        if self.voided_at is not None:
            earlier = SignOffState.WITHDRAWN if self.voided_because.startswith("withdrawn by the signer") else ""
            return SignOffState(ENDED.get(self.voided_as) or earlier or SignOffState.VOIDED)
        return STANDING[self.decision]

    @property
    def envelope(self) -> dict[str, Any] | None:
        """Return the statement in its envelope, which proves itself; nothing for one from before there were keys."""
        if self.key_id is None:
            return None
        return envelope_of(self.statement, self.key_id, self.signature)
