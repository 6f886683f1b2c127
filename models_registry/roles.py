"""The roles of the handoff. A role is held on a registered model or on an environment."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


class Role(models.TextChoices):
    """A named duty."""

    DATA_SCIENTIST = "data_scientist", "Data scientist"
    MODEL_OWNER = "model_owner", "Model owner"
    VALIDATOR = "validator", "Validator"
    ANALYTIC_ENGINEER = "analytic_engineer", "Analytic engineer"
    IT_OPERATIONS = "it_operations", "IT operations"
    INTEGRATION_OWNER = "integration_owner", "Integration owner"
    RISK_COMPLIANCE = "risk_compliance", "Risk and compliance"
    ADMINISTRATOR = "administrator", "Administrator"


@dataclass(frozen=True, slots=True)
class Duty:
    """What a role answers for, and where it is held: on the model, or on the environment it is handed to."""

    held_on: str
    sentence: str


DUTIES: dict[Role, Duty] = {
    Role.DATA_SCIENTIST: Duty("model", "Builds the model, nominates a version and offers it."),
    Role.MODEL_OWNER: Duty("model", "Answers for the model's purpose and for its use."),
    Role.VALIDATOR: Duty("model", "Checks the model independently of those who built it."),
    Role.RISK_COMPLIANCE: Duty("model", "Judges whether the risk of using the model is acceptable."),
    Role.ANALYTIC_ENGINEER: Duty("environment", "Makes the model run well in production."),
    Role.IT_OPERATIONS: Duty("environment", "Accepts responsibility for running the model in production."),
    Role.INTEGRATION_OWNER: Duty("environment", "Connects the model's outputs to the business that uses them."),
    Role.ADMINISTRATOR: Duty("environment", "Grants roles and keeps the configuration; approves nothing by it."),
}

ROLE_PERMISSIONS: "list[tuple[str, str | StrPromise]]" = [(f"hold_{role.value}", role.label) for role in Role]
