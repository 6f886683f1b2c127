"""Accounts: natural persons, and service accounts that a person answers for."""

import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Q

from audit.marks import mark_of, new_salt

FLAT = """
    IF EXISTS (SELECT FROM audit_account m WHERE m.id = NEW.same_person_id
                  AND (m.same_person_id IS NOT NULL OR m.kind <> 'person'))
       OR EXISTS (SELECT FROM audit_account o WHERE o.same_person_id = NEW.id) THEN
        RAISE EXCEPTION 'an account is merged with a main account of a person'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'account_merged_with_a_main_one';
    END IF;
    RETURN NEW;
"""

# Which accounts are one person's stays as it is while a signature that was judged by it is being written: whoever signs
# holds this lock until their transaction ends, and merging takes it alone before it ends itself.
SAME_PERSONS = "hashtext('audit_account.same_person')"
SAME_PERSONS_STAY = f"    PERFORM pg_advisory_xact_lock_shared({SAME_PERSONS});"

# Whatever writes an account, its printed name has a mark before the transaction ends.
NAMED = """
    INSERT INTO audit_printedname (id, account_id, name, salt)
    SELECT 'name:' || encode(sha256(convert_to(NEW.name_salt || printed, 'UTF8')), 'hex'),
           NEW.id, printed, NEW.name_salt
      FROM (SELECT COALESCE(NULLIF(btrim(NEW.first_name || ' ' || NEW.last_name, E' \\t\\n\\r\\f\\v'), ''),
                            NEW.username)) AS one(printed)
        ON CONFLICT (id) DO NOTHING;
    RETURN NULL;
"""
FOR_GOOD = """
    RAISE EXCEPTION 'whoever was pseudonymised stays so'
    USING ERRCODE = 'check_violation', CONSTRAINT = 'account_pseudonymised_for_good';
"""
HELD = """
    IF EXISTS (SELECT FROM audit_namehold h JOIN audit_account a ON a.id = h.account_id
                WHERE COALESCE(a.same_person_id, a.id) = COALESCE(NEW.same_person_id, NEW.id)
                  AND h.lifted_at IS NULL) THEN
        RAISE EXCEPTION 'a name that is held does not go'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'account_name_held';
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
    name_salt = models.CharField(
        max_length=64, default=new_salt, editable=False, help_text="Salt of the marks that stand for the name."
    )
    pseudonymised_at = models.DateTimeField(null=True, editable=False, help_text="When the name went for good.")

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
            models.CheckConstraint(
                condition=Q(pseudonymised_at=None) & ~Q(name_salt="")
                | Q(pseudonymised_at__isnull=False, kind="person", is_active=False, first_name="Person")
                & Q(last_name__regex=r"^[0-9a-f]{8} \(left\)$", email="", title="", name_salt=""),
                name="account_pseudonymised_has_no_name",
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
            pgtrigger.Trigger(
                name="named",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("first_name", "last_name", "username", "name_salt"),
                condition=~pgtrigger.Q(new__name_salt=""),
                func=NAMED,
            ),
            pgtrigger.Trigger(
                name="pseudonymised_for_good",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__pseudonymised_at__isnull=False)
                & (
                    pgtrigger.Q(old__pseudonymised_at__df=pgtrigger.F("new__pseudonymised_at"))
                    | pgtrigger.Q(old__first_name__df=pgtrigger.F("new__first_name"))
                    | pgtrigger.Q(old__last_name__df=pgtrigger.F("new__last_name"))
                    | pgtrigger.Q(old__username__df=pgtrigger.F("new__username"))
                ),
                func=FOR_GOOD,
            ),
            pgtrigger.Trigger(
                name="name_held",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__pseudonymised_at__isnull=True, new__pseudonymised_at__isnull=False),
                func=HELD,
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

    @property
    def mark(self) -> str:
        """Return what stands for the printed name where it is hashed or signed; a pseudonym stands for itself."""
        return mark_of(self.name_salt, self.printed_name) if self.name_salt else self.printed_name
