"""Break-glass: a deployment before all have signed. Somebody asks, another confirms, and it ends by itself."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from audit.models import SigningKey
from audit.models.accounts import SAME_PERSONS_STAY
from audit.models.names import NameText
from handoff.models.handoffs import Handoff
from handoff.models.signoffs import SIGNED, Reauthentication
from handoff.rules.break_glass import LONGEST_HOURS
from handoff.rules.statements import envelope_of
from handoff.states import BREAK_GLASS_MOVES, BreakGlassState, pairs

LONGEST = timedelta(hours=LONGEST_HOURS)
IN_FORCE = ("confirmed", "overdue")
UNCONFIRMED = ("asked", "withdrawn", "lapsed")
WAITING = ("asked", *IN_FORCE)
ASKED_FIELDS = ["id", "handoff", "gate", "reason", "incident", "asked_by", "asked_at", "confirm_by"]
CONFIRMED_ANEW = """OLD."confirmed_by_id" IS NOT NULL AND
    (OLD."role", OLD."confirmed_by_id", OLD."behalf_of_id", OLD."printed_name", OLD."confirmed_at", OLD."until",
     OLD."missing", OLD."scope", OLD."statement", OLD."statement_digest", OLD."key_id", OLD."signature",
     OLD."reauthentication_id") IS DISTINCT FROM
    (NEW."role", NEW."confirmed_by_id", NEW."behalf_of_id", NEW."printed_name", NEW."confirmed_at", NEW."until",
     NEW."missing", NEW."scope", NEW."statement", NEW."statement_digest", NEW."key_id", NEW."signature",
     NEW."reauthentication_id")"""

# As the services say: the asker and whoever confirms are two natural persons, whichever accounts and for whomever.
TWO_PEOPLE = f"""
{SAME_PERSONS_STAY}
    IF EXISTS (SELECT FROM audit_account a WHERE a.id IN (NEW.asked_by_id, NEW.confirmed_by_id, NEW.behalf_of_id)
                  AND a.kind <> 'person')
       OR EXISTS (
        SELECT FROM audit_account asks JOIN audit_account confirms
            ON COALESCE(asks.same_person_id, asks.id) = COALESCE(confirms.same_person_id, confirms.id)
         WHERE asks.id = NEW.asked_by_id AND confirms.id IN (NEW.confirmed_by_id, NEW.behalf_of_id)) THEN
        RAISE EXCEPTION 'one natural person asks for break-glass, and another one confirms it'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'break_glass_two_people';
    END IF;
    RETURN NEW;
"""  # noqa: S608 - of our own words
# The same as conflicts() in rules/duties.py says.
UNBARRED = """
    PERFORM FROM handoff_handoff WHERE id = NEW.handoff_id FOR UPDATE;
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
          ) acted
          JOIN audit_account o ON o.id = acted.id
          LEFT JOIN audit_account r ON r.id = o.responsible_id
          JOIN audit_account n ON n.id IN (NEW.confirmed_by_id, NEW.behalf_of_id)
         WHERE COALESCE(r.same_person_id, r.id, o.same_person_id, o.id) = COALESCE(n.same_person_id, n.id)) THEN
        RAISE EXCEPTION 'who created, nominated, offered or answered does not confirm a break-glass'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'break_glass_unbarred';
    END IF;
    RETURN NEW;
"""
CONFIRMING = pgtrigger.Q(old__confirmed_by__isnull=True, new__confirmed_by__isnull=False)


class BreakGlass(models.Model):
    """One break-glass of one handoff. What was asked and what was confirmed never change, and the row stays."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="break_glass")
    gate = models.CharField(max_length=8, help_text="The gate that it opened first; or rollback.")
    state = models.CharField(max_length=11, choices=BreakGlassState, default=BreakGlassState.ASKED)
    reason = models.TextField(help_text="Why nobody can wait for the signatures.")
    incident = models.CharField(max_length=200, help_text="The incident that it is for, as others find it.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    confirm_by = models.DateTimeField(help_text="Until when somebody else may confirm it.")
    role = models.CharField(max_length=20, blank=True, help_text="The role in which it was confirmed.")
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    behalf_of = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="Who delegated the role to whoever confirmed; empty where it is their own.",
    )
    printed_name = NameText(people=("confirmed_by_id", "behalf_of_id"), max_length=200, blank=True)
    confirmed_at = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True, help_text="When it is rolled back unless all have signed.")
    missing = models.JSONField(default=list, help_text="What it stepped over: gate, key and title of each.")
    scope = models.JSONField(default=dict, help_text="The digests of all that was confirmed.")
    statement = models.TextField(blank=True, help_text="The canonical bytes of the signed statement.")
    statement_digest = models.CharField(max_length=64, blank=True)
    key = models.ForeignKey(SigningKey, models.PROTECT, null=True, related_name="+")
    signature = models.CharField(max_length=88, blank=True)
    reauthentication = models.OneToOneField(
        Reauthentication, models.PROTECT, null=True, related_name="break_glass_confirmed"
    )
    overdue_at = models.DateTimeField(null=True)
    fallen = models.BooleanField(
        db_default=False, default=False, help_text="It was overdue at once: both halves turned out to be one person's."
    )
    ended_at = models.DateTimeField(null=True)
    because = models.TextField(blank=True, help_text="How it ended.")

    class Meta:
        verbose_name = "break-glass"
        verbose_name_plural = "break-glass"
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(fields=["handoff"], condition=Q(state__in=WAITING), name="break_glass_one_open"),
            models.CheckConstraint(condition=Q(state__in=BreakGlassState.values), name="break_glass_state_known"),
            models.CheckConstraint(condition=~Q(reason="") & ~Q(incident=""), name="break_glass_says_why"),
            models.CheckConstraint(
                condition=Q(state__in=UNCONFIRMED, confirmed_by=None, until=None, key=None, reauthentication=None)
                | Q(
                    confirmed_by__isnull=False,
                    confirmed_at__isnull=False,
                    until__isnull=False,
                    key__isnull=False,
                    reauthentication__isnull=False,
                )
                & ~Q(state__in=UNCONFIRMED)
                & ~Q(signature="")
                & ~Q(role="")
                & ~Q(missing=[]),
                name="break_glass_confirmed_whole",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at=None)
                | Q(
                    confirmed_at__lte=F("confirm_by"),
                    until__gt=F("confirmed_at"),
                    until__lte=F("confirmed_at") + LONGEST,
                ),
                name="break_glass_ends_soon",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["overdue", "rolled_back"])
                & (Q(overdue_at__gte=F("until")) | Q(overdue_at__isnull=False, fallen=True))
                | ~Q(state__in=["overdue", "rolled_back"]) & Q(overdue_at=None),
                name="break_glass_overdue_after_its_time",
            ),
            models.CheckConstraint(
                condition=Q(state__in=WAITING, ended_at=None, because="")
                | ~Q(state__in=WAITING) & Q(ended_at__isnull=False) & ~Q(because=""),
                name="break_glass_ended_whole",
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="legal_moves", field="state", transitions=pairs(BREAK_GLASS_MOVES)),
            pgtrigger.Protect(
                name="begins_asked", operation=pgtrigger.Insert, condition=~pgtrigger.Q(new__state="asked")
            ),
            pgtrigger.ReadOnly(name="asked_once", fields=ASKED_FIELDS),
            pgtrigger.Protect(
                name="confirmed_once", operation=pgtrigger.Update, condition=pgtrigger.Condition(CONFIRMED_ANEW)
            ),
            pgtrigger.Protect(
                name="ended_stays", operation=pgtrigger.Update, condition=pgtrigger.Q(old__ended_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="two_people",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=CONFIRMING,
                func=TWO_PEOPLE,
            ),
            pgtrigger.Trigger(
                name="unbarred", when=pgtrigger.Before, operation=pgtrigger.Update, condition=CONFIRMING, func=UNBARRED
            ),
            pgtrigger.Trigger(
                name="signed_by_a_key",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=CONFIRMING,
                func=SIGNED,
            ),
        ]

    def __str__(self) -> str:
        return f"break-glass for {self.incident}"

    def asked(self) -> dict[str, Any]:
        """Return what was asked for, as the confirmation covers it."""
        return {
            "break_glass": str(self.pk),
            "reason": self.reason,
            "incident": self.incident,
            "asked_by": self.asked_by_id,
        }

    @property
    def signed_at(self) -> datetime | None:
        """Return when it was confirmed, as other signatures call it."""
        return self.confirmed_at

    @property
    def envelope(self) -> dict[str, Any] | None:
        """Return the statement in its envelope, which proves itself; nothing before it is confirmed."""
        return envelope_of(self.statement, self.key_id, self.signature) if self.key_id else None
