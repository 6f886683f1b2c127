"""Accounts: natural persons, and service accounts that a person answers for."""

import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Q

FLAT = """
    IF EXISTS (SELECT FROM audit_account m WHERE m.id = NEW.same_person_id
                  AND (m.same_person_id IS NOT NULL OR m.kind <> 'person'))
       OR EXISTS (SELECT FROM audit_account o WHERE o.same_person_id = NEW.id) THEN
        RAISE EXCEPTION 'an account is merged with a main account of a person'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'account_merged_with_a_main_one';
    END IF;
    RETURN NEW;
"""


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
    same_person = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="other_accounts",
        help_text="The main account of the same natural person, where one has several.",
    )
    left_at = models.DateTimeField(null=True, editable=False, help_text="When the account was made inactive.")
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
            models.CheckConstraint(
                condition=Q(same_person=None) | Q(kind="person") & ~Q(same_person=F("id")),
                name="account_merged_are_people",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="left",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__is_active__df=pgtrigger.F("new__is_active")),
                func="NEW.left_at := CASE WHEN NEW.is_active THEN NULL ELSE statement_timestamp() END; RETURN NEW;",
            ),
            pgtrigger.Trigger(
                name="merged_with_a_main_one",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                condition=pgtrigger.Q(new__same_person__isnull=False),
                func=FLAT,
            ),
        ]

    @property
    def is_person(self) -> bool:
        """Tell a natural person from a service account."""
        return self.kind == self.Kind.PERSON

    @property
    def natural_person_id(self) -> int:
        """Return the main account of the person who answers for what this account does."""
        if self.is_person:
            return self.same_person_id or self.pk
        return self.responsible.natural_person_id if self.responsible else 0

    @property
    def printed_name(self) -> str:
        """Return the name as it is printed beside a signature."""
        return self.get_full_name() or self.username
