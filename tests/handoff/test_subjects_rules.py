"""For which handoffs a policy speaks: each part of the subject decides alone."""

from typing import Any

import pytest

from handoff.rules.subjects import Subject

SCORES = Subject("production", "high", "anomaly_detection")
BOTH = {"target_kinds": ["staging", "production"], "risk_tiers": ["medium", "high"]}


@pytest.mark.parametrize(
    ("subject", "applies_to", "expected"),
    [
        (SCORES, BOTH, True),
        (SCORES, BOTH | {"target_kinds": ["staging"]}, False),
        (SCORES, BOTH | {"risk_tiers": ["medium"]}, False),
        (SCORES, BOTH | {"model_types": []}, True),
        (SCORES, BOTH | {"model_types": ["regression", "anomaly_detection"]}, True),
        (SCORES, BOTH | {"model_types": ["regression"]}, False),
        (Subject("production", "high"), BOTH | {"model_types": ["regression"]}, True),
        (Subject("production", "low"), BOTH | {"model_types": ["regression"]}, False),
        (Subject("test", "high"), BOTH | {"model_types": ["regression"]}, False),
    ],
)
def test_a_policy_speaks_for_a_subject_if_it_names_all_its_parts(
    subject: Subject, applies_to: dict[str, Any], expected: bool
) -> None:
    assert subject.meets(applies_to) is expected


def test_a_subject_is_told_in_words() -> None:
    assert SCORES.words == "production environments at high risk, for models of the type anomaly detection"
    assert Subject("staging", "low").words == "staging environments at low risk"
