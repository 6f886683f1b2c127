"""The seven kinds of promotion tests, on real models in real processes: what passes, what fails, and what is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.manifests import Element, Manifest
from handoff.executors import testing
from handoff.executors.testing.robustness import probes_for
from handoff.plans import TestPlan, TestReport
from tests.handoff import artifacts


def a_plan(folder: Path, kind: str, content: dict[str, bytes], **more: Any) -> TestPlan:
    """Write a version's elements into a folder and return the plan of a test on them."""
    paths = written(folder, content)
    listed = [Element(name, sha(content[name]), len(content[name]), f"{name}.bin") for name in sorted(content)]
    manifest = Manifest("tumours", 1, "onnx", tuple(listed))
    plan: dict[str, Any] = {
        "job_id": "j",
        "fence": 1,
        "kind": kind,
        "format": "onnx",
        "manifest": manifest.canonical().decode(),
        "digest": manifest.digest,
        "elements": paths,
        "thresholds": json.loads(content["thresholds"]),
        "packages": {},
    }
    return TestPlan(**plan | more)


def written(folder: Path, content: dict[str, bytes]) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    paths = {}
    for name, data in content.items():
        paths[name] = folder / sha(data)
        paths[name].write_bytes(data)
    return paths


def sha(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def run(plan: TestPlan) -> TestReport:
    return testing.run(plan, seconds=60, memory_mb=2048)


@pytest.mark.parametrize("kind", sorted(testing.KINDS))
def test_an_honest_version_passes(kind: str, tmp_path: Path) -> None:
    report = run(a_plan(tmp_path, kind, artifacts.elements()))
    assert report.verdict == "passed", f"{report.summary}\n{report.log}"
    assert report.figures
    assert any(character.isdigit() for character in report.summary) or kind == "safety"
    assert report.summary.endswith(".")
    assert report.log
    json.dumps(report.figures, allow_nan=False)


def test_a_changed_byte_fails_the_integrity_test(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, "integrity", artifacts.elements())
    plan.elements["golden"].write_bytes(plan.elements["golden"].read_bytes().replace(b"0", b"1", 1))
    report = run(plan)
    assert report.verdict == "failed"
    assert "golden hashes to" in report.summary


def test_a_missing_element_and_an_added_one_fail_the_integrity_test(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, "integrity", artifacts.elements())
    plan.elements["extra"] = plan.elements.pop("golden")
    report = run(plan)
    assert report.verdict == "failed"
    assert "golden is gone" in report.summary
    assert "extra is not in the manifest" in report.summary


def test_a_pickle_under_another_name_fails_the_safety_test(tmp_path: Path) -> None:
    content = artifacts.elements() | {"model": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."}
    report = run(a_plan(tmp_path, "safety", content))
    assert report.verdict == "failed"
    assert "pickle" in report.summary


def test_what_cannot_be_scanned_in_time_is_an_error(tmp_path: Path) -> None:
    report = testing.run(a_plan(tmp_path, "safety", artifacts.elements()), seconds=0, memory_mb=2048)
    assert report.verdict == "error"


def test_other_golden_outputs_fail_with_the_record_and_the_value(tmp_path: Path) -> None:
    content = artifacts.elements()
    rows = [json.loads(line) for line in content["golden"].splitlines()]
    rows[3]["output"]["probabilities"][1] += 0.25
    content["golden"] = b"\n".join(json.dumps(row).encode() for row in rows)
    report = run(a_plan(tmp_path, "golden", content))
    assert report.verdict == "failed"
    assert "Record 3" in report.summary
    assert report.figures["worst_difference"] == pytest.approx(0.25, abs=1e-4)


def test_a_record_that_breaks_its_own_schema_fails_the_schema_test(tmp_path: Path) -> None:
    content = artifacts.elements()
    rows = [json.loads(line) for line in content["validation"].splitlines()]
    rows[0]["input"]["radius"] = -1
    content["validation"] = b"\n".join(json.dumps(row).encode() for row in rows)
    report = run(a_plan(tmp_path, "schema", content))
    assert report.verdict == "failed"
    assert report.figures["inputs_that_break_the_schema"] == 1
    assert "radius" in report.log


def test_outputs_outside_the_output_schema_fail_the_schema_test(tmp_path: Path) -> None:
    content = artifacts.elements()
    content["output_schema"] = content["output_schema"].replace(b'"maximum": 1', b'"maximum": 0.5')
    report = run(a_plan(tmp_path, "schema", content))
    assert report.verdict == "failed"
    assert report.figures["records_without_a_fitting_output"] > 0


def test_a_missed_threshold_fails_with_figure_and_limit(tmp_path: Path) -> None:
    metrics = [{"name": "roc_auc", "output": "probabilities", "minimum": 0.9999}]
    report = run(a_plan(tmp_path, "performance", artifacts.elements(metrics=metrics)))
    assert report.verdict == "failed"
    assert "roc_auc 0.98" in report.summary
    assert "at least 0.9999" in report.summary


def test_worse_than_the_live_version_fails(tmp_path: Path) -> None:
    live = written(tmp_path / "live", artifacts.elements("good"))
    content = artifacts.elements("worse")
    plan = a_plan(tmp_path, "performance", content, live_elements=live, live_format="onnx", live_digest="a" * 64)
    report = run(plan)
    assert report.verdict == "failed"
    assert "of the live version" in report.summary
    assert report.figures["behind_live"] > 0.005


def test_as_good_as_the_live_version_passes(tmp_path: Path) -> None:
    live = written(tmp_path / "live", artifacts.elements("good"))
    content = artifacts.elements("other")
    plan = a_plan(tmp_path, "performance", content, live_elements=live, live_format="onnx", live_digest="a" * 64)
    report = run(plan)
    assert report.verdict == "passed", report.summary
    assert report.figures["live"] == pytest.approx(0.98, abs=0.01)


def test_a_live_version_that_takes_other_records_cannot_be_compared(tmp_path: Path) -> None:
    other = artifacts.elements("good")
    other["input_schema"] = other["input_schema"].replace(b'"maximum": 10000', b'"maximum": 1')
    live = written(tmp_path / "live", other)
    plan = a_plan(
        tmp_path, "performance", artifacts.elements(), live_elements=live, live_format="onnx", live_digest="a" * 64
    )
    report = run(plan)
    assert report.verdict == "failed"
    assert "cannot be compared" in report.summary


def test_every_kind_of_breach_is_probed_and_refused(tmp_path: Path) -> None:
    report = run(a_plan(tmp_path, "robustness", artifacts.elements()))
    assert set(report.figures["kinds"]) >= {
        "missing",
        "null",
        "extra",
        "NaN",
        "infinite",
        "of the wrong type",
        "below the minimum",
        "above the maximum",
    }
    assert report.figures["broken_records"] == report.figures["refused"] > 40


def test_probes_break_exactly_the_schema() -> None:
    from engine.schemas import Schema

    schema = Schema.parse(
        {
            "type": "record",
            "name": "r",
            "fields": [
                {"name": "whole", "type": "int", "minimum": 0, "maximum": 9},
                {"name": "word", "type": "string", "pattern": "[a-z]+"},
                {"name": "colour", "type": {"type": "enum", "name": "c", "symbols": ["red", "blue"]}},
                {"name": "maybe", "type": ["null", "double"]},
                {"name": "flag", "type": "boolean"},
                {"name": "line", "type": {"type": "array", "items": "double"}, "size": 3, "maximum": 5},
            ],
        }
    )
    sound = {"whole": 3, "word": "abc", "colour": "red", "maybe": None, "flag": True, "line": [1.0, 2.0, 3.0]}
    assert not schema.check(sound)
    probes = list(probes_for(schema.fields, sound))
    assert len(probes) > 25
    for probe in probes:
        assert schema.check(probe.record), f"{probe.field} {probe.how} breaks nothing"


def test_too_slow_or_too_large_fails_the_latency_test(tmp_path: Path) -> None:
    report = run(a_plan(tmp_path, "latency", artifacts.elements(latency_p99_ms=0.001, peak_memory_mb=1)))
    assert report.verdict == "failed"
    assert "99th percentile" in report.summary
    assert "peak of memory" in report.summary
    assert report.figures["calls"] >= 300


def test_a_model_that_does_not_load_is_an_error_not_a_pass(tmp_path: Path) -> None:
    content = artifacts.elements()
    content["model"] = content["model"][:200]
    report = run(a_plan(tmp_path, "golden", content))
    assert report.verdict == "error"
    assert "could not be completed" in report.summary


def test_a_model_that_takes_too_long_is_an_error(tmp_path: Path) -> None:
    report = testing.run(a_plan(tmp_path, "golden", artifacts.elements()), seconds=0, memory_mb=2048)
    assert report.verdict == "error"


def test_an_unknown_kind_is_an_error(tmp_path: Path) -> None:
    assert run(a_plan(tmp_path, "horoscope", artifacts.elements())).verdict == "error"


def test_workers_stay_small(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import django, sys; django.setup(); import handoff.tasks;"
        "print([m for m in ('onnx','onnxruntime','sklearn','skops','numpy','scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
