"""What a handoff changes against what is live in its target: read beside the other facts, where the policy asks."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import orjson

from engine.thresholds import METRICS
from handoff.models import Handoff
from handoff.rules.change_facts import ChangeFact, MeasuredFact
from handoff.rules.reports import as_signed
from handoff.rules.standard_changes import MEASURED_BY
from handoff.states import State

# The live deployment l, with the handoff b that it came by; of a handoff that was live itself, what that was compared
# with then. The version that was last fully reviewed is in r. One row, or none.
CHANGE = """
  CASE WHEN h.policy ?| array['standard_change', 'retrain'] THEN (SELECT json_build_object(
    'recorded', CASE WHEN EXISTS (SELECT FROM handoff_deployment w WHERE w.handoff_id = h.id AND w.live_at IS NOT NULL)
      THEN COALESCE(own.kind, 'full') ELSE '' END,
    'elements', (SELECT json_object_agg(e.name, e.blob_id) FROM models_registry_element e
       WHERE e.version_id = h.version_id),
    'training', (SELECT e.text FROM models_registry_element e
       WHERE e.version_id = h.version_id AND e.name = 'training'),
    'report', audit_told(h.report),
    'live', (SELECT json_build_object(
        'deployment', l.id, 'version', v.number, 'digest', v.digest,
        'policy', b.policy_digest, 'report', audit_told(b.report), 'number', COALESCE(c.number, 0),
        'amended', (SELECT json_build_array(a.bindings, audit_told(a.report)) FROM handoff_amendment a
           JOIN handoff_deployment x ON x.id = a.deployment_id
          WHERE x.handoff_id = b.id AND a.state = 'applied' ORDER BY a.order DESC LIMIT 1),
        'bindings', b.bindings,
        'elements', (SELECT json_object_agg(e.name, e.blob_id) FROM models_registry_element e
           WHERE e.version_id = l.version_id),
        'training', (SELECT e.text FROM models_registry_element e
           WHERE e.version_id = l.version_id AND e.name = 'training'),
        'figures', (SELECT t.figures FROM handoff_promotiontest t
           WHERE t.handoff_id = b.id AND t.kind = %(measured_by)s AND t.verdict = 'passed'),
        'suspended', EXISTS (SELECT FROM handoff_suspension s WHERE s.deployment_id = l.id AND s.ended_at IS NULL),
        'glass', EXISTS (SELECT FROM handoff_breakglass g
           WHERE g.handoff_id = b.id AND g.confirmed_by_id IS NOT NULL AND g.state <> 'regularised'),
        'findings', (SELECT json_agg(DISTINCT f.kind) FROM handoff_finding f
           WHERE f.handoff_id = b.id AND f.closed_at IS NULL AND (f.suspends OR f.kind = 'approval')),
        'reviewed', json_build_object('deployment', r.id, 'version', rv.number, 'digest', rv.digest,
          'figures', (SELECT t.figures FROM handoff_promotiontest t
             WHERE t.handoff_id = r.handoff_id AND t.kind = %(measured_by)s AND t.verdict = 'passed'),
          'days', (SELECT extract(epoch FROM clock_timestamp() - min(w.live_at)) / 86400 FROM handoff_deployment w
             WHERE w.handoff_id = r.handoff_id)))
      FROM handoff_deployment l
      JOIN handoff_handoff b ON b.id = l.handoff_id
      JOIN models_registry_modelversion v ON v.id = l.version_id
      LEFT JOIN handoff_standardchange c ON c.handoff_id = b.id AND NOT c.complete
      JOIN handoff_deployment r ON r.id = COALESCE(c.reviewed_id, l.id)
      JOIN models_registry_modelversion rv ON rv.id = r.version_id
     WHERE CASE WHEN own.id IS NOT NULL THEN l.id = own.compared_with_id
       ELSE l.model_id = h.model_id AND l.environment_id = h.target_id AND l.state = 'live' AND l.handoff_id <> h.id
        AND l.slot = COALESCE(h.bindings->>'slot', 'main') END))
    FROM (SELECT) nothing LEFT JOIN handoff_standardchange own ON own.handoff_id = h.id) END
"""
SEALED = ("requirements.version", "requirements.elements", "data.input_schema", "outputs.output_schema")
UNMEASURED = (State.DRAFT, State.IN_REVIEW, State.TESTING)
FINDINGS = {
    "approval": "an approval of the live version does not stand any more",
    "drift": "the live version has drifted from what was signed",
    "glass": "the live version waits for the signatures that its break-glass stepped over",
}


def change_in(handoff: Handoff, raw: Mapping[str, Any] | None, tests: Sequence[Sequence[Any]]) -> ChangeFact | None:
    """Return what is known of the change from what was read of it, and the results of the candidate's own tests."""
    if not raw:
        return None
    mine = {kind: figures for kind, verdict, _, figures, *_ in tests if verdict == "passed"}
    figures = None if handoff.state in UNMEASURED else _metrics(mine.get(MEASURED_BY))
    live = raw["live"]
    if live is None:
        return ChangeFact(recorded=raw["recorded"], figures=figures)
    bindings, report = live["amended"] or (live["bindings"], {})
    reviewed = live["reviewed"]
    return ChangeFact(
        recorded=raw["recorded"],
        live=_measured(live),
        reviewed=_measured(reviewed),
        number=live["number"],
        days=float(reviewed["days"] or 0),
        elements=tuple(sorted(_other(raw["elements"] or {}, live["elements"] or {}))),
        differs=_differs(raw["report"] or {}, as_signed(live["report"] or {}, report or {})),
        same_bindings=handoff.bindings == bindings,
        other_pipeline=_training(raw).get("pipeline") != _training(live).get("pipeline"),
        pipeline=str(_training(raw).get("pipeline", "")),
        retrained_from=int(_training(raw).get("retrained_from", 0)),
        same_policy=handoff.policy_digest == live["policy"],
        against=tuple(_against(live)),
        figures=figures,
    )


def _measured(row: Mapping[str, Any]) -> MeasuredFact:
    return MeasuredFact(row["deployment"], row["version"], row["digest"], _metrics(row["figures"]))


def _metrics(figures: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the metrics among the figures of a test, as far as they are numbers."""
    found: dict[str, Any] = {name: (figures or {}).get(name) for name in METRICS}
    return {name: float(one) for name, one in found.items() if type(one) in (int, float) and isfinite(one)}


def _training(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a version says of its training; nothing of most."""
    return dict(orjson.loads(row["training"] or "{}"))


def _other(mine: Mapping[str, str], theirs: Mapping[str, str]) -> set[str]:
    """Return the elements that are others; what is said of the training is compared apart."""
    return {name for name in (mine.keys() | theirs.keys()) - {"training"} if mine.get(name) != theirs.get(name)}


def _differs(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the aspects of what is in one report otherwise than in the other, but for what is sealed."""
    reports = [{item["key"]: item for item in one.get("items", ())} for one in (mine, theirs)]
    found = {}
    for key in reports[0].keys() | reports[1].keys():
        here, there = (one.get(key, {}) for one in reports)
        item = here or there
        told = [tuple(one.get(name) for name in ("source", "target", "classed", "holds")) for one in (here, there)]
        if told[0] != told[1] and item.get("aspect") not in SEALED:
            found[key] = (str(item.get("aspect", key)), str(item["name"]))
    return tuple(found[key] for key in sorted(found))


def _against(live: Mapping[str, Any]) -> list[str]:
    found = ["the live version is suspended"] if live["suspended"] else []
    found += ["the live version came by break-glass, and the signatures never came"] if live["glass"] else []
    return found + [FINDINGS.get(kind, "a finding is open against the live version") for kind in live["findings"] or ()]
