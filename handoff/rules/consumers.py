"""Consumers of a model's outputs when those change: whose owner is asked, as what, and about what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from models_registry.roles import Role

GATE = "review"
PREFIX = "consumer-"  # no role of a policy: what the owner of consumers signs as, with the key of the account


@dataclass(frozen=True, slots=True)
class ConsumerFact:
    """A consumer that a change of the output schema concerns, with its owner as it is now.

    `active` tells whether the owner may log in, `covered` what a signature covers of it.
    """

    id: str
    name: str
    sink: str
    owner: int
    owner_name: str
    active: bool
    covered: Sequence[Any]

    @property
    def concerned(self) -> bool:
        """Tell whether anything changes for it still."""
        return bool(self.covered[-1])


def role_of(owner: int) -> str:
    """Return what the owner of consumers signs as."""
    return f"{PREFIX}{owner}"


def is_owner(role: str) -> bool:
    """Tell whether somebody signs as the owner of consumers, and not in a role of the policy."""
    return role.startswith(PREFIX)


def label_of(role: str) -> str:
    """Return what people call a role in which somebody signs."""
    return "Owner of a consumer" if is_owner(role) else str(Role(role).label)


def spoken(role: str) -> str:
    """Return a role inside a sentence."""
    return "owner of a consumer" if is_owner(role) else role.replace("_", " ")


def by_owner(consumers: Iterable[ConsumerFact]) -> dict[str, list[ConsumerFact]]:
    """Return the consumers by what their owners sign as."""
    found: dict[str, list[ConsumerFact]] = {}
    for one in consumers:
        found.setdefault(role_of(one.owner), []).append(one)
    return found


def parts_of(consumers: Iterable[ConsumerFact]) -> dict[str, list[Any]]:
    """Return what the signature of each owner covers beside what all cover: their own consumers, and nothing else."""
    concerned = [one for one in consumers if one.concerned]
    return {role: sorted(list(one.covered) for one in told) for role, told in by_owner(concerned).items()}
