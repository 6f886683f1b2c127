"""The documents of an evidence pack, whole: the bill of materials and the model card of a version."""

from dataclasses import replace
from uuid import NAMESPACE_URL, uuid5

from handoff.rules.packs import Described, bill_of_materials, model_card

ABOUT = Described(
    name="Tumours",
    slug="tumours",
    purpose="Finds tumours in scans.",
    owner_team="Radiology",
    risk_tier="high",
    model_type="anomaly_detection",
    number=3,
    digest="d" * 64,
    format="onnx",
    notes="Trained on newer scans.",
    elements=(
        {"name": "model", "filename": "model.onnx", "sha256": "a" * 64},
        {"name": "golden", "filename": "golden.jsonl", "sha256": "b" * 64},
    ),
    runtime={"python": ">=3.11", "packages": {"scipy": ">=1.10", "numpy": ">=2,<3"}},
    schemas={
        "input_schema": {
            "fields": [
                {"name": "age", "type": "int"},
                {"name": "dose", "type": ["null", {"type": "bytes", "logicalType": "decimal"}]},
                {"name": "scan", "type": {"type": "array", "items": "float"}},
            ]
        },
        "output_schema": {"fields": [{"name": "p", "type": "double"}]},
    },
    thresholds={"metrics": {"roc_auc": {"minimum": 0.8}}},
    tests=(
        {
            "kind": "performance",
            "verdict": "passed",
            "summary": "All metrics are within limits.",
            "figures": {"roc_auc": 0.91, "n": 200, "calibrated": True, "worst": "ward 7", "gap": None},
        },
        {"kind": "integrity", "verdict": "failed", "summary": "One byte is off.", "figures": {}},
    ),
    source="Lab",
    target="Plant",
    at="2026-03-04T12:00:00Z",
)
BARE = replace(ABOUT, model_type="", notes="", elements=(), runtime={}, schemas={}, tests=())


def test_the_bill_names_the_model_its_elements_and_its_libraries() -> None:
    """Figures are numbers; what is no number is no metric."""
    assert bill_of_materials(ABOUT) == {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, 'd' * 64)}",
        "version": 1,
        "metadata": {
            "timestamp": "2026-03-04T12:00:00Z",
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "model:tumours@3",
                "name": "tumours",
                "version": "3",
                "description": "Finds tumours in scans.",
                "hashes": [{"alg": "SHA-256", "content": "d" * 64}],
                "modelCard": {
                    "modelParameters": {
                        "inputs": [
                            {"format": "age: int"},
                            {"format": "dose: null or decimal"},
                            {"format": "scan: array"},
                        ],
                        "outputs": [{"format": "p: double"}],
                    },
                    "quantitativeAnalysis": {
                        "performanceMetrics": [
                            {"type": "performance: n", "value": "200"},
                            {"type": "performance: roc_auc", "value": "0.91"},
                        ]
                    },
                    "considerations": {"useCases": ["Finds tumours in scans."]},
                },
            },
        },
        "components": [
            {
                "type": "data",
                "bom-ref": "element:model",
                "name": "model.onnx",
                "description": "The element model of the version",
                "hashes": [{"alg": "SHA-256", "content": "a" * 64}],
            },
            {
                "type": "data",
                "bom-ref": "element:golden",
                "name": "golden.jsonl",
                "description": "The element golden of the version",
                "hashes": [{"alg": "SHA-256", "content": "b" * 64}],
            },
            {"type": "library", "bom-ref": "pkg:pypi/numpy", "name": "numpy", "version": ">=2,<3"},
            {"type": "library", "bom-ref": "pkg:pypi/scipy", "name": "scipy", "version": ">=1.10"},
        ],
        "dependencies": [
            {
                "ref": "model:tumours@3",
                "dependsOn": ["element:golden", "element:model", "pkg:pypi/numpy", "pkg:pypi/scipy"],
            }
        ],
    }


def test_a_version_without_schemas_libraries_and_tests_has_a_bill_too() -> None:
    bill = bill_of_materials(BARE)
    assert (bill["components"], bill["dependencies"]) == ([], [{"ref": "model:tumours@3", "dependsOn": []}])
    card = bill["metadata"]["component"]["modelCard"]
    assert card["modelParameters"] == {"inputs": [], "outputs": []}
    assert card["quantitativeAnalysis"] == {"performanceMetrics": []}


def test_the_card_tells_what_the_model_is_for_what_it_takes_and_how_it_did() -> None:
    assert model_card(ABOUT) == "\n".join(
        [
            "# Tumours, version 3",
            "",
            "Finds tumours in scans.",
            "",
            "- owner: Radiology",
            "- risk tier: high",
            "- type: anomaly detection",
            "- format: onnx",
            f"- digest: `{'d' * 64}`",
            "- from Lab to Plant",
            "",
            "## What changed",
            "",
            "Trained on newer scans.",
            "",
            "## Takes",
            "",
            "- `age`: int",
            "- `dose`: null or decimal",
            "- `scan`: array",
            "",
            "## Gives",
            "",
            "- `p`: double",
            "",
            "## How it did",
            "",
            "- performance: passed. All metrics are within limits.",
            "- integrity: failed. One byte is off.",
            "",
        ]
    )


def test_the_card_leaves_out_what_nobody_has_said() -> None:
    assert model_card(BARE) == "\n".join(
        [
            "# Tumours, version 3",
            "",
            "Finds tumours in scans.",
            "",
            "- owner: Radiology",
            "- risk tier: high",
            "- format: onnx",
            f"- digest: `{'d' * 64}`",
            "- from Lab to Plant",
            "",
            "## Takes",
            "",
            "",
            "## Gives",
            "",
            "",
            "## How it did",
            "",
            "No promotion test has ended yet.",
            "",
        ]
    )
