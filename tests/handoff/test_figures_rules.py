"""Rules that a figure must meet: which can be read, and which figures meet them, on both sides of each bound."""

import pytest

from handoff.rules.figures import meets, understood


@pytest.mark.parametrize(
    ("rule", "met", "not_met"),
    [
        (">= 0.8", (0.8, 1), (0.79, -1)),
        ("<= -2", (-2, -3), (-1,)),
        ("> 3", (3.01,), (3, 2)),
        ("< 3", (2.99,), (3, 4)),
        ("= 3", (3,), (3.01, -3)),
        ("  >=1 and <  2 ", (1, 1.9), (0.9, 2)),
        ("> 0 and < 200", (1, 199.9), (0, 200, -1)),
        (">= 1 and <= 9 and > 2 and < 8", (2.1, 7.9), (2, 8, 1, 9)),
        ("in 0.5, 1", (0.5, 1), (0, 0.75, 5)),
        ("in 7", (7,), (6, 8)),
        (f"in {', '.join(str(one) for one in range(20))}", (0, 19), (20,)),
    ],
)
def test_a_figure_meets_its_rule_or_not(rule: str, met: tuple[float, ...], not_met: tuple[float, ...]) -> None:
    assert understood(rule) is True
    assert [one for one in met if not meets(rule, one)] == []
    assert [one for one in not_met if meets(rule, one)] == []


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "about 3",
        ">= a",
        "in",
        "in 1,",
        "1 <",
        ">= 1 or < 0",
        ">= 1 and",
        ">= 0 and about 3",
        "in 1 and > 0",
        f"in {', '.join(str(one) for one in range(21))}",
    ],
)
def test_what_is_no_rule_is_met_by_nothing(rule: str) -> None:
    """Nor by a figure that one part of it would let through."""
    assert understood(rule) is False
    assert not any(meets(rule, one) for one in (0.0, 1.0, 3.0))


def test_a_rule_has_four_comparisons_at_most() -> None:
    assert understood(" and ".join(["> 0"] * 4))
    assert not understood(" and ".join(["> 0"] * 5))
