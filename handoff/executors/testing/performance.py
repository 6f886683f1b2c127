"""Performance: as good as was promised before any test ran, and not worse than what is live."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.metrics import evaluate
from engine.runner import Limits
from engine.thresholds import LOWER_IS_BETTER, MetricThreshold, Thresholds
from handoff.executors.errors import ExecutorError
from handoff.executors.testing.candidates import running, thresholds_of, validation_of, why_without_output
from handoff.executors.testing.findings import Finding, Log, counted
from handoff.plans import TestPlan


def run(plan: TestPlan, limits: Limits, log: Log) -> Finding:
    """Score the validation set, and hold every metric against the sealed thresholds and the live version."""
    thresholds, rows = thresholds_of(plan), validation_of(plan)
    if not rows:
        return Finding(False, "There is no validation set to score.", {"records": 0}, thresholds.to_dict())
    outputs = _score(plan.elements, plan.format, rows, limits)
    figures: dict[str, Any] = {"records": len(rows)}
    failed: list[str] = []
    good: list[str] = []
    for metric in thresholds.metrics:
        value = _value(metric, outputs, rows)
        figures[metric.name] = value
        said = f"{metric.name} {value:.4g} ({_limit(metric)})"
        (good if metric.passes(value) else failed).append(said)
        log.line(f"{said}: {'passed' if metric.passes(value) else 'failed'}")
    worse = _against_live(plan, thresholds, rows, figures, limits, log)
    failed += [worse] if worse else []
    what = counted(len(rows), "validation record")
    if failed:
        return Finding(False, f"On {what}: {'; '.join(failed)}.", figures, thresholds.to_dict())
    live = f"; live version {figures['live']:.4g}" if "live" in figures else ""
    return Finding(True, f"On {what}: {', '.join(good)}{live}.", figures, thresholds.to_dict())


def _score(elements: dict[str, Path], format: str, rows: list[dict[str, Any]], limits: Limits) -> list[dict[str, Any]]:
    with running(elements, format, limits) as runner:
        outcomes = runner.score([row["input"] for row in rows])
    refused = [(at, o) for at, o in enumerate(outcomes) if o.output is None]
    if refused:
        at, first = refused[0]
        why = why_without_output(first)
        raise ExecutorError(f"{len(refused)} of {len(rows)} records got no output; record {at}: {why}", permanent=True)
    return [outcome.output for outcome in outcomes if outcome.output is not None]


def _value(metric: MetricThreshold, outputs: list[dict[str, Any]], rows: list[dict[str, Any]]) -> float:
    if metric.output not in outputs[0]:
        raise ExecutorError(
            f"{metric.name} is to be computed on {metric.output}, which the model has not.", permanent=True
        )
    return evaluate(metric.name, [output[metric.output] for output in outputs], [row["label"] for row in rows])


def _limit(metric: MetricThreshold) -> str:
    least = [] if metric.minimum is None else [f"at least {metric.minimum:g}"]
    most = [] if metric.maximum is None else [f"at most {metric.maximum:g}"]
    return ", ".join(least + most)


def _against_live(
    plan: TestPlan,
    thresholds: Thresholds,
    rows: list[dict[str, Any]],
    figures: dict[str, Any],
    limits: Limits,
    log: Log,
) -> str:
    """Score the live version on the same records, and return in what the candidate is worse; or nothing."""
    rule = thresholds.against_live
    if not plan.live_elements or rule is None:
        log.line("not compared with a live version: " + ("there is none" if rule else "no threshold asks for it"))
        return ""
    metric = thresholds.metric(rule.metric)
    try:
        live = _value(_as_live_calls_it(metric, plan), _score(plan.live_elements, plan.live_format, rows, limits), rows)
    except ExecutorError as error:
        return f"it cannot be compared with the live version {plan.live_digest[:12]}: {error.message}"
    figures["live"], figures["live_digest"] = live, plan.live_digest
    mine = figures[metric.name]
    behind = mine - live if metric.name in LOWER_IS_BETTER else live - mine
    figures["behind_live"] = behind
    said = f"{metric.name} {mine:.4g} against {live:.4g} of the live version (may be worse by {rule.margin:g})"
    log.line(said)
    return said if behind > rule.margin else ""


def _as_live_calls_it(metric: MetricThreshold, plan: TestPlan) -> MetricThreshold:
    """Name the output by the live version's own thresholds, where they have the same metric."""
    path = plan.live_elements.get("thresholds")
    own = {m.name: m.output for m in Thresholds.parse(path.read_bytes()).metrics} if path else {}
    return replace(metric, output=own.get(metric.name, metric.output))
