"""Keys of requests that must not be carried out twice."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class RequestKey(models.Model):
    """One Idempotency-Key of one account, written in the transaction of the act, with the answer that was given."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    key = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    answer = models.JSONField()
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="request_key_once")]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.key}"
