"""What crosses to the workers: frozen, complete, and free of the ORM."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.sandbox.levels import NONE, Level


@dataclass(frozen=True, slots=True)
class TestPlan:
    """All that one promotion test needs. `fence` is the number under which its result may be written."""

    __test__ = False

    job_id: str
    fence: int
    kind: str
    format: str
    manifest: str
    digest: str
    elements: dict[str, Path]
    thresholds: dict[str, Any]
    packages: dict[str, str]
    live_elements: dict[str, Path] = field(default_factory=dict)
    live_format: str = ""
    live_digest: str = ""


@dataclass(frozen=True, slots=True)
class TestReport:
    """What one promotion test found. Figures are plain numbers and short texts under stable names.

    `sandbox` is the level that held in each process which touched the model, or that the host is declared to be.
    """

    __test__ = False

    verdict: str
    summary: str
    figures: dict[str, Any]
    thresholds: dict[str, Any]
    log: str
    seconds: float
    sandbox: Level = NONE


@dataclass(frozen=True, slots=True)
class Counted:
    """What an engine has counted of one version since it `began` to, in seconds since the epoch: requests by status.

    `buckets` are the scored ones by their latency.
    """

    began: float
    statuses: dict[int, int]
    records: int
    buckets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DeployPlan:
    """An order to a target: make this version live there, unless a higher order was accepted.

    One that is `suspended` is put there, and does not score.
    """

    job_id: str
    fence: int
    engine_url: str
    model: str
    version: str
    digest: str
    manifest: str
    blobs: dict[str, str]
    golden: tuple[dict[str, Any], ...]
    tolerance: dict[str, float]
    previous: "PreviousVersion | None" = None
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class PreviousVersion:
    """The version to swap back to, and whether it stays suspended."""

    version: str
    digest: str
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class DeployReport:
    """What happened at the target: each step with its time, and whether the version is live there now."""

    live: bool
    summary: str
    steps: tuple[dict[str, Any], ...]
    reason_code: str = ""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """An order to put back what the records say is live; nothing there means: serve this model no more."""

    job_id: str
    fence: int
    engine_url: str
    model: str
    unwanted: str
    wanted: DeployPlan | None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """An order to run what is live over its streams, and to stop what ran before.

    Runs over streams are named by deployment, runs of batches by themselves. `keys` stands before the keys of a batch's
    records, `tries` is how often it may get no further, and `remember` keeps a stop of what the engine does not know.
    """

    job_id: str
    fence: int
    engine_url: str
    model: str
    stops: tuple[str, ...] = ()
    run: str = ""
    version: str = ""
    digest: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    sinks: dict[str, dict[str, Any]] = field(default_factory=dict)
    letters: dict[str, Any] | None = None
    keys: str = ""
    tries: int = 0
    remember: bool = False


@dataclass(frozen=True, slots=True)
class RunReport:
    """What an engine answered to the order of a run: each step, how it goes, and how those ended that were stopped."""

    steps: tuple[dict[str, Any], ...]
    state: dict[str, Any]
    error: str = ""
    stopped: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StopPlan:
    """An order to let a version score no more, or again where it is not `on`. `order` is the act's own number."""

    job_id: str
    fence: int
    order: int
    engine_url: str
    model: str
    version: str
    digest: str
    on: bool


@dataclass(frozen=True, slots=True)
class StopReport:
    """What an engine answered: how the runs ended that it stopped, or why the order was not carried out."""

    error: str = ""
    stopped: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AmendPlan:
    """An order to run what is live by other bindings, and the order that brings back what was, if that fails."""

    wanted: RunPlan
    before: RunPlan


@dataclass(frozen=True, slots=True)
class AmendReport:
    """What became of an amendment at the engine; where it was not applied, whether what was before runs again."""

    applied: bool
    restored: bool
    steps: tuple[dict[str, Any], ...]
    state: dict[str, Any]
    error: str = ""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """An order to compare two sources by a version, with the links under which its elements are had."""

    job_id: str
    fence: int
    engine_url: str
    model: str
    version: str
    digest: str
    manifest: str
    blobs: dict[str, str]
    creation: dict[str, Any]
    production: dict[str, Any]
    keys: tuple[str, ...]
    tolerances: dict[str, list[float]]
    output_tolerances: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What an engine found, or why it could not compare."""

    content: dict[str, Any] | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What an engine says that it serves of one model."""

    model: str
    version: str
    digest: str
    order: int
    ready: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """A run over streams that has not ended, as an engine tells it."""

    model: str
    run: str
    state: str
    bound: str = ""


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """All that an engine said; or why it did not."""

    served: tuple[Served, ...] = ()
    runs: tuple[Running, ...] = ()
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of it."""
        return {"served": [asdict(one) for one in self.served], "runs": [asdict(one) for one in self.runs]}
