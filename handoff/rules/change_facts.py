"""What is known of the change that a handoff makes to what is live: the facts that its kind is computed from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

FULL = "full"


@dataclass(frozen=True, slots=True)
class MeasuredFact:
    """A version that was live before: under which order it came, its number, digest, and measured metrics."""

    deployment: str
    version: int
    digest: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangeFact:
    """The change against what is live in the same slot of the target, and against what was last fully reviewed.

    `recorded` is the kind under which the handoff itself went live, once it has; then nothing is computed any more.
    `number` counts the changes in a row that went live with fewer signatures, the live one included; `days` is how
    long ago the reviewed one first went live. `elements` have other bytes than those of the live version, `differs` are
    the aspects, each with a name, whose items in the difference report are others. `against` says why the live version
    is no ground to stand on. `pipeline` is the digest of what trained the candidate, `other_pipeline` whether the live
    version was trained by another, and `retrained_from` the number of the version that it retrains, as far as they say
    so. `figures` are the candidate's metrics, none if they were not measured; None before its tests have ended.
    """

    recorded: str = ""
    live: MeasuredFact | None = None
    reviewed: MeasuredFact | None = None
    number: int = 0
    days: float = 0.0
    elements: tuple[str, ...] = ()
    differs: tuple[tuple[str, str], ...] = ()
    same_bindings: bool = False
    same_policy: bool = False
    other_pipeline: bool = False
    pipeline: str = ""
    retrained_from: int = 0
    against: tuple[str, ...] = ()
    figures: Mapping[str, float] | None = None
