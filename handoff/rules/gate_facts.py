"""What a gate is judged on, and what the judgement says."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from engine.sandbox.levels import NONE
from handoff.rules.answers import AnswerFact
from handoff.rules.change_facts import ChangeFact
from handoff.rules.consumers import ConsumerFact
from handoff.rules.duties import Chain
from handoff.rules.lapses import AgainFact, ConditionFact
from handoff.rules.watches import CanaryFact

APPROVALS = ("approve", "conditional")


@dataclass(frozen=True, slots=True)
class SignOffFact:
    """One unvoided sign-off. `entitled` says whether the signer holds the role now and may log in.

    `behalf` is who delegated the role to the signer; then it is they who must hold it. `again` is why and when an
    approval is to be given anew.
    """

    id: str
    gate: str
    requirement: str
    role: str
    person: int
    name: str
    decision: str
    meaning: str
    scope: Mapping[str, str]
    entitled: bool
    signed_at: str = ""
    conditions: tuple[ConditionFact, ...] = ()
    behalf: int | None = None
    again: AgainFact | None = None


@dataclass(frozen=True, slots=True)
class TestFact:
    """The result of one promotion test, for one version digest, and the sandbox in which it was found."""

    __test__ = False

    verdict: str
    digest: str
    sandbox: str = NONE


@dataclass(frozen=True, slots=True)
class FindingFact:
    """An open finding that is no drift. `blocks`: no gate opens before it is closed; `due` is an ISO time."""

    id: str
    title: str
    severity: str
    blocks: bool
    owner: int | None
    name: str | None
    due: str


@dataclass(frozen=True, slots=True)
class WaiverFact:
    """The approved waiver of a requirement that ends last. `counts`: not revoked, and its last day has not gone."""

    id: str
    until: str
    approved_by: str
    asked_by: int
    control: str
    counts: bool
    approver: int | None = None


@dataclass(frozen=True, slots=True)
class EmergencyFact:
    """A break-glass that two people decided on: until when (an instant in ISO 8601), who, and for which incident.

    `behalf` is who delegated the role to the confirmer.
    """

    id: str
    until: str
    asked_by: str
    confirmed_by: str
    incident: str
    asker: int | None = None
    confirmer: int | None = None
    behalf: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a gate is judged on. `holders` maps a role to the people who hold it now, by key and name.

    `differences` are those that must be acknowledged, `answering` the roles that must do so; `moved` is what
    came in the way since the report was signed: what a finding says, or what a worker sees for itself. `now` is what
    the database's clock says. `waivers_asked` maps open requests to the person
    who asked. `exceptions` are libraries that an exception lets in, `replays` the number of contract
    replays that were equal and still hold, `owner` the owner of record of the target by name, with their account,
    whether they operate it, and which duties of theirs they have acknowledged.
    `consumers` are those that a change of the output schema concerns. `emergency` is the break-glass on which a
    decision rests; whoever only asks what is missing leaves it out. `change` is what is known of the change against
    what is live, where the policy lets fewer sign for a small one. `canary` is how far the canary is, while there is
    one.
    """

    version: str
    parts: Mapping[str, str]
    differences: tuple[str, ...] = ()
    answering: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[FindingFact, ...] = ()
    answers: Mapping[str, AnswerFact] = field(default_factory=dict)
    acknowledged: Mapping[str, int] = field(default_factory=dict)
    signoffs: tuple[SignOffFact, ...] = ()
    tests: Mapping[str, TestFact] = field(default_factory=dict)
    holders: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    chain: Chain = field(default_factory=Chain)
    tier: str = ""
    now: datetime | None = None
    waivers: Mapping[str, WaiverFact] = field(default_factory=dict)
    waivers_asked: Mapping[str, int] = field(default_factory=dict)
    exceptions: tuple[str, ...] = ()
    replays: int = 0
    owner: str = ""
    owner_account: int | None = None
    owner_operates: bool = False
    owner_duties: Mapping[str, bool] = field(default_factory=dict)
    consumers: tuple[ConsumerFact, ...] = ()
    emergency: EmergencyFact | None = None
    change: ChangeFact | None = None
    canary: CanaryFact | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing a gate asks for, whether it is met, and if not why and who can clear it.

    The gate does not wait for one that is not `needed`. `turn` is false for a sign-off that comes after another one
    which is missing; `who` are then those who must sign first. `roles` are all that may sign. `waived` says until when
    a requirement that is not met counts as met, and who approved that; or which break-glass steps over it. `again`
    says why and until when a signature that still counts is asked for anew.
    """

    kind: str
    key: str
    title: str
    role: str
    met: bool
    why: str = ""
    who: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    needed: bool = True
    turn: bool = True
    roles: tuple[str, ...] = ()
    waived: str = ""
    again: str = ""

    @property
    def open(self) -> bool:
        """Tell whether the gate still waits for it."""
        return self.needed and not self.met

    def asks(self, held: Collection[str]) -> bool:
        """Tell whether it asks something of whoever holds these roles."""
        return any(role in held for role in self.roles or (self.role,))


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate, judged."""

    gate: str
    open: bool
    refused: bool
    requirements: tuple[Requirement, ...]

    @property
    def missing(self) -> tuple[Requirement, ...]:
        """Return what the gate still waits for."""
        return tuple(r for r in self.requirements if r.open)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, to be stored with a decision or sent to a client."""
        return asdict(self)
