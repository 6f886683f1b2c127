"""Text that shows otherwise than it reads: what hides is named with its place, and all that scripts need is let in."""

from typing import Any

import pytest

from audit.errors import Invalid
from audit.hidden_text import refuse_hidden

TURNED, ZERO = "\u202etxt.exe", "All is \u200bwell."


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"reason": "שלום (עולם) 42%", "note": "می‌خواهم"},
        {"reason": "👩🏽‍🔬 done\n\ttwice\r\n", "note": "Ångström — naïve", "source": "\ufeffpolicy: x"},
        {"password": TURNED, "told": [{"code": TURNED}], "number": 7, "none": None, "raw": b"\x00", "set": {TURNED}},
    ],
)
def test_what_shows_as_it_reads_is_let_in_and_what_nobody_is_shown(given: dict[str, Any]) -> None:
    refuse_hidden(given)


def test_all_that_hides_is_told_with_its_places() -> None:
    given = {
        "reason": TURNED,
        "rows": [{"text": "plain"}, {"text": ZERO, "more": ("x", f"{ZERO}\u2066{ZERO}")}],
        "told": {7: {"password": TURNED, "note": "x\ufeff"}},
        "fine": "All is well.",
    }
    with pytest.raises(Invalid) as refused:
        refuse_hidden(given)
    assert refused.value.as_dict() == {
        "code": "text_hidden",
        "message": "The text holds characters that are not seen, or that turn it round, so people would read something"
        " else.",
        "todo": "Write it again without them; often they came along when it was copied.",
        "fields": {
            "reason": "holds U+202E",
            "rows.1.text": "holds U+200B",
            "rows.1.more.1": "holds U+200B, U+2066",
            "told.7.note": "holds U+FEFF",
        },
    }


@pytest.mark.parametrize("hidden", ["\u202a", "\u2069", "\u200b", "\x1b", "\x07", "\x85", "\U000e0041", "\u2062"])
def test_each_that_hides_is_called_by_its_number(hidden: str) -> None:
    with pytest.raises(Invalid) as refused:
        refuse_hidden({"reason": f"All{hidden} is well."})
    assert refused.value.fields == {"reason": f"holds U+{ord(hidden):04X}"}
