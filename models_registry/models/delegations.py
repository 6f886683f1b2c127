"""Delegations: a holder lets somebody else act in a role for a time. They are ended, never deleted or written anew."""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now
from django.utils import timezone

from models_registry.models.environments import Environment
from models_registry.models.registered_models import RegisteredModel
from models_registry.models.roles import TRIGGERS
from models_registry.roles import Role

PEOPLE = """
    IF (SELECT count(*) FROM audit_account a
         WHERE a.id IN (NEW.delegator_id, NEW.delegate_id) AND a.kind = 'person') < 2
       OR (SELECT count(DISTINCT COALESCE(a.same_person_id, a.id)) FROM audit_account a
            WHERE a.id IN (NEW.delegator_id, NEW.delegate_id)) < 2 THEN
        RAISE EXCEPTION 'a role is delegated by one natural person to another'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'delegation_between_two_people';
    END IF;
    RETURN NEW;
"""


class Delegation(models.Model):
    """One person acts in a role for another, from one time to another, on a model or an environment."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    role = models.CharField(max_length=20, choices=Role)
    model = models.ForeignKey(RegisteredModel, models.PROTECT, null=True, related_name="delegations")
    environment = models.ForeignKey(Environment, models.PROTECT, null=True, related_name="delegations")
    delegator = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    delegate = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.TextField()
    starts_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField()
    made_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-made_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(model=None, environment__isnull=False) | Q(model__isnull=False, environment=None),
                name="delegation_on_one_thing",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="delegation_has_a_reason"),
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="delegation_in_order"),
            models.CheckConstraint(
                condition=Q(role__in=[role for role in Role.values if role != Role.ADMINISTRATOR]),
                name="delegation_of_a_role_that_can_be",
            ),
            *(
                ExclusionConstraint(
                    name=f"delegation_once_at_a_time_on_{thing}",
                    expressions=[
                        ("delegator", RangeOperators.EQUAL),
                        ("role", RangeOperators.EQUAL),
                        (thing, RangeOperators.EQUAL),
                        (
                            Func(F("starts_at"), F("ends_at"), function="tstzrange", output_field=DateTimeRangeField()),
                            RangeOperators.OVERLAPS,
                        ),
                    ],
                )
                for thing in ("model", "environment")
            ),
        ]
        triggers = [
            *TRIGGERS,
            pgtrigger.Trigger(name="two_people", when=pgtrigger.Before, operation=pgtrigger.Insert, func=PEOPLE),
        ]

    def __str__(self) -> str:
        return f"{Role(self.role).label}: {self.delegate_id} for {self.delegator_id}"

    @property
    def state(self) -> str:
        """Return where it stands: now, planned or ended. What was ended before it started is over, too."""
        moment = timezone.now()
        if self.ends_at <= max(moment, self.starts_at):
            return "ended"
        return "planned" if self.starts_at > moment else "now"

    @property
    def chain(self) -> str:
        """Return the chain of what the role is held on."""
        return f"model:{self.model_id}" if self.model_id else f"environment:{self.environment_id}"
