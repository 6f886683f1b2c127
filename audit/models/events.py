"""The trail: one row an act, numbered and hashed by the database, never changed."""

from functools import cached_property
from typing import Any, Self

import orjson
import pgtrigger
from django.db import models
from django.db.models import F, Func

from audit.marks import marks_in, told
from audit.models.names import NameText, PrintedName

CHAIN = """
    IF NEW.actor_kind = 'person' AND NEW.actor_label !~ '^name:[0-9a-f]{64}$' THEN
        RAISE EXCEPTION 'an event names a person by a mark'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'event_names_nobody';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.chain, 0));
    SELECT seq, hash INTO last FROM audit_auditevent WHERE chain = NEW.chain ORDER BY seq DESC LIMIT 1;
    NEW.seq := COALESCE(last.seq, 0) + 1;
    NEW.previous := COALESCE(last.hash, sha256(convert_to(NEW.chain, 'UTF8')));
    NEW.at := clock_timestamp();
    NEW.hash := sha256(
        NEW.previous || int8send(NEW.seq) || int8send((EXTRACT(EPOCH FROM NEW.at) * 1000000)::bigint)
        || convert_to(NEW.body, 'UTF8'));
    RETURN NEW;
"""

NAMES = """(SELECT COALESCE(jsonb_object_agg(p.id, p.name), '{}') FROM audit_printedname p WHERE p.id IN (
    SELECT found[1] FROM regexp_matches(%(expressions)s, 'name:[0-9a-f]{64}', 'g') AS found))"""


class Events(models.QuerySet["AuditEvent"]):
    """Events, which are read with the names that their marks stand for by one statement."""

    def named(self) -> Self:
        """Fetch `names` with each event."""
        return self.annotate(names=Func(F("body"), template=NAMES, output_field=models.JSONField()))


class AuditEvent(models.Model):
    """One act: who, what, when, why, before and after. `body` holds the canonical bytes that are hashed.

    hash = SHA-256(previous hash ‖ sequence ‖ microseconds since 1970 ‖ body), each number as eight bytes, high byte
    first; the first event of a chain has the SHA-256 of the chain's name as its previous hash.
    """

    chain = models.CharField(max_length=80)
    seq = models.BigIntegerField(default=0)
    at = models.DateTimeField(db_index=True)
    action = models.CharField(max_length=60)
    actor_kind = models.CharField(max_length=8)
    actor = models.ForeignKey("audit.Account", models.PROTECT, null=True, related_name="+")
    actor_label = NameText(people=("actor_id",), max_length=200)
    subject = models.CharField(max_length=80, db_index=True)
    body = models.TextField()
    previous = models.BinaryField()
    hash = models.BinaryField()

    objects = Events.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chain", "seq"], name="event_one_per_place_in_chain")]
        triggers = [
            pgtrigger.Trigger(
                name="chain",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                declare=[("last", "RECORD")],
                func=CHAIN,
            ),
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.chain} {self.seq}: {self.action}"

    @cached_property
    def names(self) -> dict[str, str]:
        """Return the names that the marks in the body stand for."""
        return dict(PrintedName.objects.filter(pk__in=marks_in(self.body)).values_list("pk", "name"))

    @property
    def told(self) -> dict[str, Any]:
        """Return what was hashed, with the names in the place of the marks."""
        found: dict[str, Any] = told(orjson.loads(self.body), self.names)
        return found
