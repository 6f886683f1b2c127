"""What precedes the end of a leaver's name: the notice of the day on which it goes, and a hold that keeps it."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

LIFTING_FIELDS = ["lifted_at", "lifted_by", "lifted_because"]


class NameNotice(models.Model):
    """That administrators were told when the name of somebody who has left goes. A new leaving takes a new one."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="name_notices")
    left_at = models.DateTimeField(help_text="When the last account of the person was made inactive.")
    told_at = models.DateTimeField(db_default=Now(), editable=False)
    goes_at = models.DateTimeField(help_text="The name goes then, and never earlier.")

    class Meta:
        ordering = ["-told_at"]
        constraints = [
            models.UniqueConstraint(fields=["account", "left_at"], name="name_notice_once_a_leaving"),
            models.CheckConstraint(condition=Q(goes_at__gt=F("told_at")), name="name_notice_before_it_goes"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"account {self.account_id}, {self.goes_at:%Y-%m-%d}"


class NameHold(models.Model):
    """That the name of somebody who has left stays for now, and why: while one stands, nobody lets it go."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="name_holds")
    reason = models.CharField(max_length=2000)
    held_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    held_at = models.DateTimeField(db_default=Now(), editable=False)
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(null=True)
    lifted_because = models.CharField(max_length=2000, blank=True)

    class Meta:
        ordering = ["-held_at"]
        constraints = [
            models.UniqueConstraint(fields=["account"], condition=Q(lifted_at=None), name="name_hold_one_at_a_time"),
            models.CheckConstraint(condition=~Q(reason=""), name="name_hold_says_why"),
            models.CheckConstraint(
                condition=Q(lifted_at=None, lifted_by=None, lifted_because="")
                | Q(lifted_at__isnull=False, lifted_by__isnull=False) & ~Q(lifted_because=""),
                name="name_hold_lifted_by_somebody_who_says_why",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="only_lifting", operation=pgtrigger.Update, condition=pgtrigger.AnyChange(exclude=LIFTING_FIELDS)
            ),
            pgtrigger.Protect(
                name="lifted_once", operation=pgtrigger.Update, condition=pgtrigger.Q(old__lifted_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"account {self.account_id}: {self.reason}"
