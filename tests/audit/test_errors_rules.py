"""Refusals: what each kind of them says by itself, and what an act adds."""

import pytest

from audit.errors import Forbidden, Hidden, Invalid, Precondition, Refused, StaleView, Unavailable, WrongState

KINDS = [
    (Refused, 400, "refused"),
    (Hidden, 404, "not_found"),
    (Forbidden, 403, "forbidden"),
    (WrongState, 409, "wrong_state"),
    (StaleView, 409, "changed_since_shown"),
    (Invalid, 422, "invalid"),
    (Precondition, 412, "stale_version"),
    (Unavailable, 503, "unavailable"),
]


@pytest.mark.parametrize(("kind", "status", "code"), KINDS)
def test_a_refusal_tells_its_code_its_reason_and_what_to_do(kind: type[Refused], status: int, code: str) -> None:
    plain = kind("No.")
    assert (plain.status, str(plain), plain.code) == (status, "No.", code)
    assert plain.as_dict() == {"code": code, "message": "No.", "todo": "", "fields": {}}
    fields = {"name": "is empty", "rows": ["is odd", "is twice"]}
    told = kind("No.", code="another", todo="Ask.", fields=fields)
    assert told.as_dict() == {"code": "another", "message": "No.", "todo": "Ask.", "fields": fields}
    assert told.fields is not fields
    assert str(kind(message="No.")) == "No."
    assert kind.code == code
