"""Accounts: natural persons, and service accounts that a person answers for."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Q


class Account(AbstractUser):
    """One log-in. A person may sign; a service account never does, and names the person behind it."""

    class Kind(models.TextChoices):
        PERSON = "person", "person"
        SERVICE = "service", "service account"

    kind = models.CharField(max_length=8, choices=Kind, default=Kind.PERSON)
    responsible = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="service_accounts",
        help_text="The person who answers for this service account.",
    )
    title = models.CharField(max_length=80, blank=True, help_text="What the person does, as printed beside the name.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="person", responsible=None) | Q(kind="service", responsible__isnull=False),
                name="account_service_has_responsible",
            ),
            models.CheckConstraint(condition=~Q(responsible=F("id")), name="account_not_responsible_for_itself"),
            models.CheckConstraint(
                condition=Q(kind="person") | Q(is_staff=False, is_superuser=False), name="account_service_is_not_staff"
            ),
        ]

    @property
    def is_person(self) -> bool:
        """Tell a natural person from a service account."""
        return self.kind == self.Kind.PERSON

    @property
    def natural_person_id(self) -> int:
        """Return the person who answers for what this account does."""
        return self.pk if self.is_person else (self.responsible_id or 0)

    @property
    def printed_name(self) -> str:
        """Return the name as it is printed beside a signature."""
        return self.get_full_name() or self.username
