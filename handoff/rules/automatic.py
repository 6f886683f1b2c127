"""Items that nobody answers: each is computed from facts by a small pure function, under a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Situation:
    """What items are computed from.

    `tests` are the required tests with the verdict over exactly this version, "" where there is none; `undeclared`
    the differences that the policy declares nowhere, `unacknowledged` those of them that nobody acknowledged;
    `exceptions` the libraries that are let in by an exception; `moved` what drifted; `findings` the open ones;
    `replays` the number of contract replays that were equal and still hold; `owner` the owner of record of the target
    by name, if that is somebody active, `owner_operates` whether they hold IT operations there, and `owner_duties` the
    roles that they hold, each with whether they have acknowledged what it answers for now.
    """

    tests: Mapping[str, str] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()
    unacknowledged: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    replays: int = 0
    owner: str = ""
    owner_operates: bool = False
    owner_duties: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Automatic:
    """One computed item: why it is not met (nothing: it is), who can see to it, and whether it needs test results."""

    words: str
    why: Callable[[Situation], str]
    role: str
    after_tests: bool = False


def _tests(now: Situation) -> str:
    bad = [f"{kind} {verdict or 'has not run'}" for kind, verdict in now.tests.items() if verdict != "passed"]
    return "; ".join(bad)


def _listed(words: str, found: tuple[str, ...]) -> str:
    return f"{words}: {', '.join(found)}" if found else ""


def _replay(now: Situation) -> str:
    return "" if now.replays else "no contract replay was equal, or its sources changed since"


def _owner(now: Situation) -> str:
    if not now.owner:
        return "the target has no active owner of record"
    return "" if now.owner_operates else "the owner of record does not hold IT operations"


def _acknowledged(now: Situation) -> str:
    if not now.owner:
        return "the target has no active owner of record"
    if not now.owner_duties:
        return "the owner of record holds no role here whose duties they could acknowledge"
    unread = [role.replace("_", " ") for role, told in now.owner_duties.items() if not told]
    return f"the owner of record has not acknowledged the duties of {', '.join(unread)}" if unread else ""


KNOWN: dict[str, Automatic] = {
    "tests.passed": Automatic("all promotion tests passed", _tests, "data_scientist", after_tests=True),
    "differences.none_undeclared": Automatic(
        "nothing differs that no rule declares", lambda now: _listed("undeclared", now.undeclared), "it_operations"
    ),
    "differences.acknowledged": Automatic(
        "all undeclared differences are acknowledged",
        lambda now: _listed("not acknowledged", now.unacknowledged),
        "it_operations",
    ),
    "import_policy.no_exceptions": Automatic(
        "no library needs an exception to the import policy",
        lambda now: _listed("let in by an exception", now.exceptions),
        "data_scientist",
    ),
    "drift.none": Automatic(
        "the target is what was signed", lambda now: _listed("drifted", now.moved), "it_operations"
    ),
    "findings.none_open": Automatic("no finding is open", lambda now: _listed("open", now.findings), "data_scientist"),
    "replay.equal": Automatic("a contract replay was equal", _replay, "it_operations"),
    "owner.operates": Automatic("the owner of record holds IT operations", _owner, "it_operations"),
    "owner.acknowledged": Automatic(
        "the owner of record has acknowledged their duties", _acknowledged, "it_operations"
    ),
}
