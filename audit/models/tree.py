"""The Merkle tree over the whole trail: its leaves, the whole subtrees that proofs need, and the signed heads."""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from audit.models.events import AuditEvent
from audit.models.keys import SigningKey

# Nodes are kept on every eighth level; what lies between is computed from at most 256 of them.
STRIDE = 8
GROWS = """
    IF NEW.size <= (SELECT max(size) FROM audit_treehead) THEN
        RAISE EXCEPTION 'a tree head of % leaves comes after a larger one', NEW.size
            USING ERRCODE = 'check_violation', CONSTRAINT = 'tree_head_grows';
    END IF;
    IF NEW.size <> (SELECT max(place) + 1 FROM audit_treeleaf) THEN
        RAISE EXCEPTION 'a tree head of % leaves does not end at the last leaf', NEW.size
            USING ERRCODE = 'check_violation', CONSTRAINT = 'tree_head_covers_all_leaves';
    END IF;
    RETURN NEW;
"""


class TreeLeaf(models.Model):
    """One event in the tree. What it says of the event stays, whatever becomes of the event's row."""

    place = models.BigIntegerField(primary_key=True, help_text="The leaf's number, from 0.")
    event = models.OneToOneField(
        AuditEvent, models.DO_NOTHING, db_constraint=False, related_name="leaf", help_text="The event's row."
    )
    chain = models.CharField(max_length=80)
    seq = models.BigIntegerField()
    hash = models.BinaryField(help_text="The event's hash: the entry of the leaf.")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(place__gte=0), name="tree_leaf_counts_from_zero")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"leaf {self.place}: {self.chain} {self.seq}"


class TreeNode(models.Model):
    """The root of a whole subtree of 256, 65,536, … leaves, so that a proof reads a few hundred rows at most."""

    level = models.PositiveSmallIntegerField()
    place = models.BigIntegerField()
    hash = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["level", "place"], name="tree_node_once"),
            models.CheckConstraint(condition=Q(level__gt=0), name="tree_node_above_leaves"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"node {self.level}/{self.place}"


class TreeHead(models.Model):
    """What the site has signed: so many leaves, under this root, at this time."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    at = models.DateTimeField()
    peaks = models.BinaryField(help_text="The roots of the whole subtrees, the largest first: what growing needs.")
    key = models.ForeignKey(SigningKey, models.PROTECT, related_name="+")
    envelope = models.TextField(help_text="Size, root and time as they were signed.")

    class Meta:
        ordering = ["size"]
        constraints = [models.CheckConstraint(condition=Q(size__gt=0), name="tree_head_of_some_leaves")]
        triggers = [
            pgtrigger.Trigger(name="grows", operation=pgtrigger.Insert, when=pgtrigger.Before, func=GROWS),
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"head of {self.size}"


class HeadAnchor(models.Model):
    """A head that somebody outside has seen: whoever runs a webhook, or an authority that stamped it with the time."""

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", "webhook"
        TIME_STAMP = "time_stamp", "time stamp (RFC 3161)"

    head = models.ForeignKey(TreeHead, models.PROTECT, related_name="anchors")
    kind = models.CharField(max_length=10, choices=Kind)
    place = models.CharField(max_length=300, help_text="The address that took it.")
    at = models.DateTimeField(db_default=Now())
    stamped_at = models.DateTimeField(null=True, help_text="The time that the authority vouches for.")
    stamp = models.BinaryField(default=bytes, help_text="The authority's whole answer, as RFC 3161 encodes it.")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["head", "kind", "place"], name="head_anchored_once_at_a_place"),
            models.CheckConstraint(
                condition=Q(kind="webhook", stamped_at=None, stamp=b"")
                | Q(kind="time_stamp", stamped_at__isnull=False) & ~Q(stamp=b""),
                name="head_anchor_has_its_stamp",
            ),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.place}"
