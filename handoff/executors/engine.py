"""Carry out orders at a scoring engine: stage, prove, swap, prove again; and swap back by itself when it fails."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from engine.fault_points import fault_point
from handoff.executors.errors import ExecutorError
from handoff.executors.http import Engine
from handoff.executors.replay import replay
from handoff.plans import DeployPlan, DeployReport, RestorePlan

Say = Callable[[str], None]
LOAD_SECONDS = 300.0
PATIENCE_SECONDS = 10.0


class _Steps:
    """The steps as they happened, told as they happen."""

    def __init__(self, say: Say) -> None:
        self.done: list[dict[str, Any]] = []
        self._say = say

    @contextmanager
    def step(self, name: str, doing: str) -> Iterator[dict[str, Any]]:
        """Time one step and keep how it ended."""
        self._say(doing)
        started = time.monotonic()
        row: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "step": name, "ok": False, "text": doing}
        self.done.append(row)
        try:
            yield row
            row["ok"] = True
        except ExecutorError as error:
            row["text"] = error.message
            raise
        finally:
            row["seconds"] = round(time.monotonic() - started, 4)


def deploy(plan: DeployPlan, *, token: str, say: Say = lambda text: None) -> DeployReport:
    """Make the plan's version live at its engine, or leave the version that was live before; say which, and why."""
    engine, steps = Engine(plan.engine_url, token), _Steps(say)
    staged = swapped = False
    try:
        wait_until_up(engine, steps)
        staged = _load(engine, plan, steps)
        _prove(engine, plan, steps)
        fault_point("deploy.staged")
        swapped = True  # from here on nobody knows: an order that timed out may have been carried out
        _swap(engine, plan, steps)
        fault_point("deploy.swapped")
    except ExecutorError as error:
        if error.code == "stale_order":
            return DeployReport(False, error.message, tuple(steps.done), "stale_order")
        if swapped:
            return _swap_back(engine, plan, steps, error)
        if staged:
            _forget(engine, plan, steps)
        return DeployReport(False, error.message, tuple(steps.done), error.code)
    name = f"{plan.model} version {plan.version}"
    return DeployReport(True, f"{name} is live, and answers all golden records as it should", tuple(steps.done))


def restore(plan: RestorePlan, *, token: str, say: Say = lambda text: None) -> DeployReport:
    """Make an engine serve what the records say is live, or nothing."""
    if plan.wanted is not None:
        return (_put_back if plan.wanted.suspended else deploy)(plan.wanted, token=token, say=say)
    engine, steps = Engine(plan.engine_url, token), _Steps(say)
    try:
        wait_until_up(engine, steps)
        _unload(engine, plan.model, plan.unwanted, plan.fence, steps)
    except ExecutorError as error:
        return DeployReport(False, error.message, tuple(steps.done), error.code)
    return DeployReport(True, f"{plan.model} is not served any more", tuple(steps.done))


def _put_back(plan: DeployPlan, *, token: str, say: Say) -> DeployReport:
    """Put a suspended version in the live one's place again; it proves nothing, for it answers nothing."""
    engine, steps = Engine(plan.engine_url, token), _Steps(say)
    try:
        wait_until_up(engine, steps)
        _load(engine, plan, steps)
        with steps.step("activate", "putting the suspended version back"):
            _activate(engine, plan.model, plan.fence, plan.version, plan.digest, suspended=True)
    except ExecutorError as error:
        return DeployReport(False, error.message, tuple(steps.done), error.code)
    return DeployReport(True, f"{plan.model} version {plan.version} is there, and stays suspended", tuple(steps.done))


def wait_until_up(engine: Engine, steps: _Steps) -> None:
    """Wait for an engine that is being restarted; after that give up."""
    with steps.step("reach", "reaching the engine"):
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                engine.get("/v2/health/live")
                return
            except ExecutorError as error:
                if error.permanent or time.monotonic() > until:
                    raise
                time.sleep(0.3)


def _load(engine: Engine, plan: DeployPlan, steps: _Steps) -> bool:
    """Load the version beside the live one. Returns whether it is staged, and not live there already."""
    with steps.step("load", f"loading version {plan.version}") as row:
        order = {
            "order": plan.fence,
            "version": plan.version,
            "digest": plan.digest,
            "manifest": plan.manifest,
            "blobs": plan.blobs,
            "suspended": plan.suspended,
        }
        told = engine.order(plan.model, "load", order, seconds=LOAD_SECONDS)
        if told.get("digest") != plan.digest:
            raise ExecutorError(f"The engine loaded the digest {told.get('digest')}.", permanent=True, code="security")
        row["text"] = f"version {plan.version} is loaded under digest {plan.digest[:12]}"
    return told.get("state") == "staged"


def _prove(engine: Engine, plan: DeployPlan, steps: _Steps) -> None:
    """Ask whether the staged version is ready, and replay the golden records on it."""
    path = f"/v2/models/{plan.model}/versions/{plan.version}"
    with steps.step("ready", "asking whether it is ready"):
        if engine.get(f"{path}/ready").get("ready") is not True:
            raise ExecutorError("The engine says that the version is not ready.", permanent=True)
    with steps.step("golden_staged", "replaying the golden records beside the live version") as row:
        row["text"] = replay(engine, path, plan.golden, plan.tolerance)


def _swap(engine: Engine, plan: DeployPlan, steps: _Steps) -> None:
    with steps.step("activate", "swapping") as row:
        _activate(engine, plan.model, plan.fence, plan.version, plan.digest)
        row["text"] = f"the endpoint serves version {plan.version}"
    with steps.step("golden_live", "replaying the golden records through the live endpoint") as row:
        row["text"] = replay(engine, f"/v2/models/{plan.model}", plan.golden, plan.tolerance)
        _check_live(engine, plan.model, plan.digest)


def _activate(engine: Engine, model: str, order: int, version: str, digest: str, *, suspended: bool = False) -> None:
    named = {"order": order, "version": version, "digest": digest}
    told = engine.order(model, "activate", {**named, "suspended": suspended})
    if told.get("digest") != digest or told.get("state") != "live":
        raise ExecutorError(f"The engine made the digest {told.get('digest')} live.", permanent=True, code="security")


def _check_back(engine: Engine, model: str, digest: str) -> None:
    """Check that a version is live again; one that was suspended meanwhile answers that it is."""
    try:
        _check_live(engine, model, digest)
    except ExecutorError as error:
        if error.code != "suspended":
            raise


def _check_live(engine: Engine, model: str, digest: str) -> None:
    seen = engine.get(f"/v2/models/{model}").get("parameters", {}).get("digest")
    if seen != digest:
        raise ExecutorError(f"The live endpoint serves the digest {seen}.", permanent=True, code="operability")


def _swap_back(engine: Engine, plan: DeployPlan, steps: _Steps, why: ExecutorError) -> DeployReport:
    """Put the version before back, under the same order; when even that cannot be known, say so."""
    try:
        if plan.previous is None:
            _unload(engine, plan.model, plan.version, plan.fence, steps)
            told = "it is taken out again, and nothing is served"
        else:
            before = plan.previous
            with steps.step("swap_back", f"putting version {before.version} back"):
                named = (engine, plan.model, plan.fence, before.version, before.digest)
                _activate(*named, suspended=before.suspended)
                _check_back(engine, plan.model, before.digest)
            told = f"version {before.version} is {'back, and stays suspended' if before.suspended else 'served again'}"
    except ExecutorError as error:
        summary = f"{why.message} Going back failed too, so what the engine serves is not known: {error.message}"
        return DeployReport(False, summary, tuple(steps.done), "unknown")
    return DeployReport(False, f"{why.message} So {told}.", tuple(steps.done), why.code)


def _unload(engine: Engine, model: str, version: str, order: int, steps: _Steps) -> None:
    with steps.step("unload", f"taking version {version} out"):
        try:
            engine.order(model, "unload", {"order": order, "version": version})
        except ExecutorError as error:
            if error.code != "unknown_model":
                raise


def _forget(engine: Engine, plan: DeployPlan, steps: _Steps) -> None:
    """Take a version out that was staged and did not prove itself; that it stays there does no harm."""
    try:
        _unload(engine, plan.model, plan.version, plan.fence, steps)
    except ExecutorError:
        return
