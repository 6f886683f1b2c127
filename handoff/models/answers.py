"""Answers to checklist items, the evidence behind them, and acknowledged differences. All append-only."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from handoff.models.handoffs import Handoff
from handoff.models.promotion_tests import PromotionTest
from handoff.models.replays import Replay
from models_registry.models import Blob

APPEND_ONLY = pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
NO_RECORD: dict[str, None] = {"replay": None, "test": None, "other": None}
ONLY_REPLAY = Q(test=None, other=None)


class Answer(models.Model):
    """One answer to one checklist item. The latest counts; earlier ones stay."""

    class Choice(models.TextChoices):
        YES = "yes", "yes"
        NO = "no", "no"
        NOT_APPLICABLE = "not_applicable", "not applicable"

    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="answers")
    item = models.SlugField()
    choice = models.CharField(max_length=14, choices=Choice)
    reason = models.TextField(blank=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=Q(choice__in=["yes", "no", "not_applicable"]), name="answer_choice_known"),
            models.CheckConstraint(
                condition=Q(choice="yes") | ~Q(reason=""), name="answer_other_than_yes_has_a_reason"
            ),
        ]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.item}: {self.choice}"


class Evidence(models.Model):
    """What backs an answer: a file by content, a link, a figure, a passed test, an equal replay, or another answer."""

    class Kind(models.TextChoices):
        FILE = "file", "file"
        LINK = "link", "link"
        FIGURE = "figure", "figure"
        REPLAY = "replay", "replay"
        TEST = "test", "promotion test"
        ITEM = "item", "other item"

    answer = models.ForeignKey(Answer, models.PROTECT, related_name="evidence")
    kind = models.CharField(max_length=6, choices=Kind)
    label = models.CharField(max_length=200)
    blob = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    link = models.URLField(max_length=500, blank=True)
    figure = models.FloatField(null=True, help_text="A number; of a replay its own.")
    replay = models.ForeignKey(Replay, models.PROTECT, null=True, related_name="+")
    test = models.ForeignKey(PromotionTest, models.PROTECT, null=True, related_name="+")
    other = models.ForeignKey(Answer, models.PROTECT, null=True, related_name="+", help_text="An answer given before.")

    class Meta:
        verbose_name_plural = "evidence"
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="file", blob__isnull=False, link="", figure=None, **NO_RECORD)
                | Q(kind="link", blob=None, figure=None, **NO_RECORD) & ~Q(link="")
                | Q(kind="figure", blob=None, link="", figure__isnull=False, **NO_RECORD)
                | Q(kind="replay", blob=None, link="", figure__isnull=False, replay__isnull=False) & ONLY_REPLAY
                | Q(kind="test", blob=None, link="", figure=None, test__isnull=False, replay=None, other=None)
                | Q(kind="item", blob=None, link="", figure=None, other__isnull=False, replay=None, test=None),
                name="evidence_is_what_it_says",
            )
        ]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return self.label


class Acknowledgement(models.Model):
    """Somebody on the receiving side has read one difference and lives with it."""

    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="acknowledgements")
    difference = models.CharField(max_length=200)
    comment = models.TextField(blank=True)
    mitigation = models.TextField(blank=True, default="", help_text="What was done about it.")
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    acknowledged_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["handoff", "difference"], name="acknowledgement_once_a_difference")
        ]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return self.difference


class Damage(models.Model):
    """A stored file whose bytes are not any more what its name says. It ends when they are back."""

    blob = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    found_at = models.DateTimeField(db_default=Now())
    mended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["blob"], condition=Q(mended_at=None), name="damage_one_open_per_blob")
        ]
        triggers = [
            pgtrigger.ReadOnly(name="fixed", fields=["blob", "found_at"]),
            pgtrigger.Protect(
                name="mended_once", operation=pgtrigger.Update, condition=pgtrigger.Q(old__mended_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.blob_id
