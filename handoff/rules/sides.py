"""What a difference report compares: two environments, as far as a handoff can notice them, and the version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Owner:
    """Who answers for something: by name, by the mark that is signed in its place, and by account."""

    name: str
    mark: str = ""
    account: int = 0

    @property
    def words(self) -> str:
        """Return who it is in a sentence that is kept."""
        return f"account {self.account}"


@dataclass(frozen=True, slots=True)
class Stream:
    """Where records come from or go to. `fields` maps names to types; None where the model's schema is inherited."""

    transport: str
    encoding: str = ""
    fields: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Consumer:
    """An application, report or dashboard that an output stream feeds."""

    owner: Owner | None
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One environment, as far as a handoff can notice it.

    Streams stand under their slots, of which one is `input`. `exceptions` are libraries that are let in against the
    import policy, in the version that is installed, until a day such as 2026-12-31.
    """

    name: str
    kind: str
    organisation: str
    owner: Owner
    purpose: str
    python: str
    packages: Mapping[str, str]
    hardware: str
    import_policy: Mapping[str, Any] = field(default_factory=dict)
    streams: Mapping[str, Stream] = field(default_factory=dict)
    consumers: Mapping[str, Consumer] = field(default_factory=dict)
    exceptions: Mapping[str, str] = field(default_factory=dict)
    systems: str = ""
    requirements: str = ""


@dataclass(frozen=True, slots=True)
class Cargo:
    """The sealed version: the digests of what must stay equal, the fields it reads, and what it asks of a runtime."""

    digest: str
    input_schema: str
    output_schema: str
    python: str
    packages: Mapping[str, str]
    elements: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
