"""What a statement says is read back strictly, and every column of a signature is compared with it."""

import json
from base64 import b64decode
from typing import Any

import pytest
import rfc8785

from audit.marks import mark_of
from handoff.rules.statements import (
    INTENT,
    KIND,
    OF_AMENDMENT,
    PLACES,
    PREDICATE,
    STATEMENT,
    differing,
    envelope_of,
    intent_of,
    signer_in,
    stated,
    told_in,
)

MARK = mark_of("salt", "Vera")
PREDICATE_OF = {
    "signoff": "s", "handoff": "h", "gate": "review", "requirement": "validation", "role": "validator",
    "person": {"account": 7, "printed_name": MARK}, "for": {"account": None}, "decision": "approve",
    "meaning": "review", "comment": "read", "scope": {"policy": "p"}, "scope_digest": "d",
    "confirmed": {"id": "c"}, "signed_at": "2026-03-02T12:00:00+00:00",
}  # fmt: skip
COLUMNS = {
    "id": "s", "handoff_id": "h", "gate": "review", "requirement": "validation", "role": "validator",
    "signer_id": 7, "printed_name": "Vera", "behalf_of_id": None, "decision": "approve", "meaning": "review",
    "comment": "read", "scope": {"policy": "p"}, "scope_digest": "d", "reauthentication_id": "c",
    "signed_at": "2026-03-02T12:00:00+00:00",
}  # fmt: skip


def test_a_statement_names_the_version_and_is_read_back_by_its_own_kind_alone() -> None:
    text = stated(PREDICATE_OF, version="ab").decode()
    told = json.loads(text)
    assert told["subject"] == [{"name": "model version", "digest": {"sha256": "ab"}}]
    assert (told["_type"], told["predicateType"]) == (STATEMENT, PREDICATE)
    assert told_in(text) == PREDICATE_OF
    assert told_in(text, OF_AMENDMENT) is None
    amended = stated(PREDICATE_OF, version="ab", kind=OF_AMENDMENT).decode()
    assert told_in(amended, OF_AMENDMENT) == PREDICATE_OF
    assert told_in(amended) is None


def canonical(content: Any) -> str:
    """Return content in the one form that is read."""
    return rfc8785.dumps(content).decode()


WHOLE = json.loads(stated(PREDICATE_OF, version="ab"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        json.dumps(WHOLE),
        stated(PREDICATE_OF, version="ab").decode() + " ",
        canonical([]),
        canonical("statement"),
        canonical({**WHOLE, "_type": "another"}),
        canonical({**WHOLE, "predicate": []}),
        canonical({"statement": 2}),
        "[" * 100_000,
        '{"statement":1,"x":NaN}',
    ],
)
def test_what_is_no_statement_of_ours_tells_nothing(text: str) -> None:
    assert told_in(text) is None


def test_a_statement_of_an_earlier_release_is_read_as_a_sign_off_and_nothing_else() -> None:
    text = canonical({"statement": 1, "signoff": "s", "person": {"printed_name": "Vera"}})
    told = told_in(text)
    assert told is not None
    assert told["signoff"] == "s"
    assert told_in(text, OF_AMENDMENT) is None
    assert signer_in(text) == "Vera"


def test_the_signer_is_read_from_either_form() -> None:
    assert signer_in(stated(PREDICATE_OF, version="ab").decode()) == MARK
    assert signer_in("{}") == ""


def test_columns_that_say_what_the_statement_says_do_not_differ_and_each_that_does_not_does() -> None:
    names = {MARK: "Vera"}
    assert set(COLUMNS) == set(PLACES)
    assert differing(COLUMNS, PREDICATE_OF, PLACES, names) == []
    for column in COLUMNS:
        assert differing({**COLUMNS, column: "other"}, PREDICATE_OF, PLACES, names) == [column]
    assert differing(COLUMNS, PREDICATE_OF, PLACES, {}) == ["printed_name"]
    assert differing(COLUMNS, {**PREDICATE_OF, "person": "Vera"}, PLACES, names) == ["signer_id", "printed_name"]
    left = "Person 0123abcd (left)"  # may stand for a name, and for nothing else
    assert differing({**COLUMNS, "comment": left}, PREDICATE_OF, PLACES, names) == ["comment"]
    nobody = {**COLUMNS, "printed_name": None}
    assert differing(nobody, {**PREDICATE_OF, "person": {"account": 7}}, PLACES, names) == []


def test_a_personal_key_signs_who_decides_what_with_which_conditions() -> None:
    told = intent_of(PREDICATE_OF)
    assert told == {
        "intent": INTENT, "confirmation": "c", "account": 7, "handoff": "h", "requirement": "validation",
        "scope_digest": "d", "decision": "approve", "meaning": "review", "comment": "read", "conditions": [],
    }  # fmt: skip
    assert intent_of({**PREDICATE_OF, "conditions": ["soon"]})["conditions"] == ["soon"]


def test_an_envelope_holds_the_statement_and_the_signature_over_it() -> None:
    text = stated(PREDICATE_OF, version="ab").decode()
    envelope = envelope_of(text, "key", "sig")
    assert b64decode(envelope["payload"]).decode() == text
    assert (envelope["payloadType"], envelope["signatures"]) == (KIND, [{"keyid": "key", "sig": "sig"}])
