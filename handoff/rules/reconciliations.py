"""What an engine serves against what the records say: each difference in words, and how much it matters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from handoff.plans import EngineAnswer, Running, Served

LONGEST_SUBJECT = 60
LOOKS = 2  # a difference is a finding once it was seen as often in a row: between two looks an order may be under way
SEVERITY = {
    "nothing": "high",
    "another": "high",
    "stranger": "high",
    "stray_run": "high",
    "other_streams": "high",
    "unstopped": "high",
    "older": "medium",
    "no_run": "medium",
    "silent": "medium",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an engine should serve of one model: the version, its order, and its run over streams, if it has one.

    `also` are digests that may be served instead for now, while an order is under way; `bound` is the hash of version
    and streams that its run was ordered with, or empty where no run goes; `batches` are the runs of a batch that go.
    What is `suspended` answers nobody and runs nothing.
    """

    deployment: str
    handoff: str
    model: str
    version: str
    digest: str
    order: int
    also: tuple[str, ...] = ()
    bound: str = ""
    batches: tuple[str, ...] = ()
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `deployment` is empty for what nobody approved; `looks` counts how often it was seen in a row."""

    code: str
    model: str
    words: str
    deployment: str = ""
    handoff: str = ""
    looks: int = 1

    @property
    def severity(self) -> str:
        """Return how much it matters."""
        return SEVERITY[self.code]

    @property
    def about(self) -> tuple[str, str, str]:
        """Return what makes it the same difference at the next look."""
        return self.code, self.model, self.deployment


def compare(wanted: Sequence[Wanted], answer: EngineAnswer, elsewhere: Iterable[str] = ()) -> list[Difference]:
    """Return how an engine's answer differs from what is wanted of it.

    `elsewhere` are models and runs that other environments of the same engine, or an order under way, account for.
    """
    served = {one.model: one for one in answer.served}
    known = {one.model for one in wanted} | set(elsewhere)
    found = [one for row in wanted for one in _of(row, served.get(row.model), answer.runs)]
    found += [_stranger(one) for one in answer.served if one.model not in known]
    going = [row for row in wanted if not row.suspended]
    expected = {run for row in going for run in (row.deployment, *row.batches)} | set(elsewhere)
    models = {row.model: row for row in wanted}
    return found + [_stray(one, models.get(one.model)) for one in answer.runs if one.run not in expected]


def silent(wanted: Sequence[Wanted], words: str) -> list[Difference]:
    """Return that an engine did not answer, once for each model that it should serve."""
    return [
        Difference("silent", one.model, f"engine not reachable: {words}", one.deployment, one.handoff) for one in wanted
    ]


def counted(found: Iterable[Difference], before: Iterable[Mapping[str, Any]], *, answered: bool) -> list[Difference]:
    """Return differences with how often each was seen in a row.

    An engine that does not answer proves nothing: what was seen before stays, though it is not counted on.
    """
    rows = {row.about: row for row in map(read, before)}
    now = [_again(one, rows.get(one.about)) for one in found]
    if answered:
        return now
    seen = {one.about for one in now}
    return now + [row for about, row in rows.items() if about not in seen and row.code != "silent"]


def lasting(differences: Iterable[Difference]) -> list[Difference]:
    """Return those that are findings."""
    return [one for one in differences if one.looks >= LOOKS]


def subject_of(one: Difference) -> str:
    """Return under what a finding about a difference is known; of two long names that begin alike each has its own."""
    whole = f"served:{one.code}:{one.model}"
    if len(whole) <= LONGEST_SUBJECT:
        return whole
    return f"{whole[: LONGEST_SUBJECT - 17]}:{sha256(whole.encode()).hexdigest()[:16]}"


def read(row: Mapping[str, Any]) -> Difference:
    """Return a difference from what is kept of it."""
    return Difference(**row)


def _again(one: Difference, before: Difference | None) -> Difference:
    return Difference(**{**asdict(one), "looks": before.looks + 1 if before else 1})


def _of(row: Wanted, served: Served | None, runs: Iterable[Running]) -> list[Difference]:
    def differs(code: str, words: str) -> Difference:
        return Difference(code, row.model, words, row.deployment, row.handoff)

    if served is None:
        nothing = differs("nothing", f"serves nothing; version {row.version} is live by the records")
        return [] if row.suspended else [nothing]
    if row.suspended and (not served.ready or served.digest in row.also):
        return []
    if row.suspended and served.digest == row.digest:
        return [differs("unstopped", f"answers, though version {row.version} is suspended")]
    found = []
    if not served.ready:
        why = served.reason or "it is still being loaded"
        found.append(differs("nothing", f"serves nothing; version {served.version} is not ready: {why}"))
    if served.digest not in (row.digest, *row.also):
        found.append(differs("another", f"serves another digest: version {served.version}, {served.digest[:12]}…"))
    elif served.order < row.order and not row.also:
        found.append(differs("older", f"serves an older order: {served.order}, and the records say {row.order}"))
    bound = next((one.bound for one in runs if one.run == row.deployment), None)
    if row.bound and bound is None:
        found.append(differs("no_run", "its run over streams does not go"))
    elif row.bound and bound not in ("", row.bound):
        found.append(differs("other_streams", "runs over other streams than its bindings name"))
    return found


def _stranger(one: Served) -> Difference:
    return Difference(
        "stranger", one.model, f"serves what nobody approved: {one.model} version {one.version}, {one.digest[:12]}…"
    )


def _stray(one: Running, row: Wanted | None) -> Difference:
    words = f"runs what nobody approved: the run {one.run[:8]} of {one.model}"
    return Difference("stray_run", one.model, words, row.deployment if row else "", row.handoff if row else "")
