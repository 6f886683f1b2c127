"""What an evidence pack says in forms that others read: a bill of materials, a model card, and a map of controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

# What a file of the pack is evidence for, in our own words: where it is asked for, what is asked, and which files.
CONTROLS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "EU AI Act, Article 9",
        "risks are known, and what was done about them",
        ("parts/report.json", "answers.json"),
    ),
    ("EU AI Act, Article 10", "data is governed; records in and out have a schema", ("version/elements/input_schema",)),
    ("EU AI Act, Article 11 and Annex IV", "technical documentation", ("model-card.md", "version/manifest.json")),
    ("EU AI Act, Article 12", "what happened is recorded by itself", ("events.jsonl", "head.dsse.json")),
    ("EU AI Act, Article 14", "people oversee, and can refuse", ("signoffs/index.json", "decisions.json")),
    ("EU AI Act, Article 15", "accuracy and robustness are measured against limits", ("tests.json",)),
    ("SR 26-2, validation", "others than the builders challenge the model", ("signoffs/index.json", "tests.json")),
    ("SR 26-2, governance", "roles, policies and exceptions are on record", ("policy.yaml", "findings.json")),
    ("NIST AI RMF, Govern 2", "who answers for what is written down", ("signoffs/index.json", "deployments.json")),
    ("NIST AI RMF, Measure 2", "the system is tested in the conditions in which it will run", ("tests.json",)),
    ("NIST AI RMF, Manage 1", "whether to go on is decided from what is known", ("decisions.json",)),
    (
        "ISO/IEC 42001, A.6.2",
        "the life cycle has criteria, and records that they were met",
        ("policy.yaml", "tests.json"),
    ),
    ("ISO/IEC 42001, A.7", "data and resources are known", ("bom.cdx.json", "version/manifest.json")),
    (
        "SOX, change control",
        "a change is asked for, tested, approved by others, and traced",
        ("events.jsonl", "tests.json"),
    ),
)


@dataclass(frozen=True, slots=True)
class Described:
    """A version and its handoff, as the documents of a pack tell of them."""

    name: str
    slug: str
    purpose: str
    owner_team: str
    risk_tier: str
    model_type: str
    number: int
    digest: str
    format: str
    notes: str
    elements: Sequence[Mapping[str, Any]]
    runtime: Mapping[str, Any]
    schemas: Mapping[str, Mapping[str, Any]]
    thresholds: Mapping[str, Any]
    tests: Sequence[Mapping[str, Any]]
    source: str
    target: str
    at: str


def bill_of_materials(about: Described) -> dict[str, Any]:
    """Return a CycloneDX 1.6 bill of materials: the model with its card, its elements as data, and its libraries.

    https://cyclonedx.org/docs/1.6/json/. The serial number follows from the version's digest, so it never changes.
    """
    model = f"model:{about.slug}@{about.number}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, about.digest)}",
        "version": 1,
        "metadata": {"timestamp": about.at, "component": _model_component(about, model)},
        "components": [_element(about, row) for row in about.elements] + [*_libraries(about)],
        "dependencies": [
            {"ref": model, "dependsOn": sorted([f"element:{row['name']}" for row in about.elements] + _refs(about))}
        ],
    }


def _model_component(about: Described, ref: str) -> dict[str, Any]:
    fields = {
        place: [{"format": f"{one['name']}: {_type_of(one['type'])}"} for one in schema.get("fields", ())]
        for place, schema in about.schemas.items()
    }
    return {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": about.slug,
        "version": str(about.number),
        "description": about.purpose,
        "hashes": [{"alg": "SHA-256", "content": about.digest}],
        "modelCard": {
            "modelParameters": {"inputs": fields.get("input_schema", []), "outputs": fields.get("output_schema", [])},
            "quantitativeAnalysis": {"performanceMetrics": _metrics(about)},
            "considerations": {"useCases": [about.purpose]},
        },
    }


def _metrics(about: Described) -> list[dict[str, str]]:
    return [
        {"type": f"{test['kind']}: {name}", "value": str(value)}
        for test in about.tests
        for name, value in sorted(test["figures"].items())
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _element(about: Described, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": f"element:{row['name']}",
        "name": row["filename"],
        "description": f"The element {row['name']} of the version",
        "hashes": [{"alg": "SHA-256", "content": row["sha256"]}],
    }


def _libraries(about: Described) -> list[dict[str, Any]]:
    return [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}",
            "name": name,
            "version": str(wanted),
        }
        for name, wanted in sorted(about.runtime.get("packages", {}).items())
    ]


def _refs(about: Described) -> list[str]:
    return [f"pkg:pypi/{name}" for name in about.runtime.get("packages", {})]


def _type_of(told: Any) -> str:
    if isinstance(told, list):
        return " or ".join(_type_of(one) for one in told)
    return str(told.get("logicalType") or told.get("type")) if isinstance(told, Mapping) else str(told)


def model_card(about: Described) -> str:
    """Return the model card in Markdown: what it is for, what it takes and gives, and how it did in its tests."""
    lines = [
        f"# {about.name}, version {about.number}",
        "",
        about.purpose,
        "",
        f"- owner: {about.owner_team}",
        f"- risk tier: {about.risk_tier}",
        *([f"- type: {about.model_type.replace('_', ' ')}"] if about.model_type else []),
        f"- format: {about.format}",
        f"- digest: `{about.digest}`",
        f"- from {about.source} to {about.target}",
        "",
        *(["## What changed", "", about.notes, ""] if about.notes else []),
    ]
    for title, place in (("Takes", "input_schema"), ("Gives", "output_schema")):
        fields = about.schemas.get(place, {}).get("fields", ())
        lines += [f"## {title}", "", *(f"- `{one['name']}`: {_type_of(one['type'])}" for one in fields), ""]
    lines += ["## How it did", ""]
    lines += [f"- {test['kind']}: {test['verdict']}. {test['summary']}" for test in about.tests]
    lines += [] if about.tests else ["No promotion test has ended yet."]
    return "\n".join(lines) + "\n"
