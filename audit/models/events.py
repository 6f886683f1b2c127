"""The trail: one row an act, numbered and hashed by the database, never changed."""

import pgtrigger
from django.db import models

CHAIN = """
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
    actor_label = models.CharField(max_length=200)
    subject = models.CharField(max_length=80, db_index=True)
    body = models.TextField()
    previous = models.BinaryField()
    hash = models.BinaryField()

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
