"""The roles of the handoff. A role is held on a registered model or on an environment."""

from dataclasses import dataclass
from hashlib import sha256
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
    """What a role answers for, and where it is held: on the model, or on the environment it is handed to.

    `text` is the duty as it comes with the product, a responsibility a line; an administrator may publish another one.
    """

    held_on: str
    sentence: str
    text: str


DUTIES: dict[Role, Duty] = {
    Role.DATA_SCIENTIST: Duty(
        "model",
        "Builds the model, nominates a version and offers it.",
        """\
I nominate a version only when I would run it myself, and I name its limits and the data it was built from.
I answer questions about it truthfully, and attach what proves the answer.
I declare what the model needs, and do not work around what the target's owners prohibit.
I take a returned version back, correct its cause, and offer a new one.
I approve nothing that I had a hand in.""",
    ),
    Role.MODEL_OWNER: Duty(
        "model",
        "Answers for the model's purpose and for its use.",
        """\
I say what the model is for, who may use it, and when it has to stop.
I set its risk tier, and raise it when its use becomes more serious.
I make sure that every role on the model is held by somebody who has time for it.
I decide whether its benefit is still worth its risk, at least once a year.""",
    ),
    Role.VALIDATOR: Duty(
        "model",
        "Checks the model independently of those who built it.",
        """\
I form my own opinion from the data and the results, not from what I am told about them.
I sign only what I have read, over exactly the version in front of me.
I refuse when I am in doubt, and say what would remove the doubt.
I tell when I am too close to those who built the model, and let somebody else judge.""",
    ),
    Role.RISK_COMPLIANCE: Duty(
        "model",
        "Judges whether the risk of using the model is acceptable.",
        """\
I know which laws and rules of the house apply to the model's use.
I judge the harm it can do, to whom, and what limits it.
I let exceptions pass only with an end and with something that makes up for them.
I look at the trail of what was decided, also when nobody asks.""",
    ),
    Role.ANALYTIC_ENGINEER: Duty(
        "environment",
        "Makes the model run well in production.",
        """\
I see to it that the live records are of the same form and meaning as those the model was built on.
I watch inputs, outputs, speed and errors, and act on what I see.
I keep the runbook so that somebody else can follow it at night.
I tell data science what production taught me about their model.""",
    ),
    Role.IT_OPERATIONS: Duty(
        "environment",
        "Accepts responsibility for running the model in production.",
        """\
I accept a model only when I can run it, watch it, and take it back.
From that moment on I answer for its running, and I am, or know, the person who is called.
I keep the environment, its libraries and its import policy as they are written down.
I roll back first and look for the cause afterwards.
I answer each finding before it is due.""",
    ),
    Role.INTEGRATION_OWNER: Duty(
        "environment",
        "Connects the model's outputs to the business that uses them.",
        """\
I know every application and report that the outputs feed, and who owns it.
I tell those who depend on an output before it changes, and after it has failed.
I make sure that a person can see that a model is behind the figure, and what to do when it looks wrong.""",
    ),
    Role.ADMINISTRATOR: Duty(
        "environment",
        "Grants roles and keeps the configuration; approves nothing by it.",
        """\
I grant a role only to somebody who has agreed to it, for as long as it is needed, and never to myself.
I take roles away on the day somebody leaves.
I publish rules only after those who work under them have seen them.
I change nothing in a record, and ask nobody to.""",
    ),
}


def digest_of_duty(role: str, text: str) -> str:
    """Return the SHA-256 of a duty, 64 hex digits: of the role's name, a line's end, and the text in UTF-8."""
    return sha256(f"{role}\n{text}".encode()).hexdigest()


ROLE_PERMISSIONS: "list[tuple[str, str | StrPromise]]" = [(f"hold_{role.value}", role.label) for role in Role]
