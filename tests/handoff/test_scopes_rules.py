"""What signatures cover, byte for byte: small scopes whole, and the words in which people read them."""

from hashlib import sha256
from itertools import product

from handoff.rules.scopes import COVERS, WORDS, digest, holds, in_order, in_words, scope_for, touched

PARTS = {name: f"digest of {name}" for name in COVERS["confirm"]}


def test_a_digest_is_that_of_canonical_json() -> None:
    assert digest({"b": 1.0, "a": "ä"}) == sha256('{"a":"ä","b":1}'.encode()).hexdigest()


def test_what_was_signed_when_all_had_to_sign_holds_where_fewer_must_and_not_the_other_way_round() -> None:
    """Over whether the change was part of what was signed, whether it is now, and whether it is the same."""
    for then, now in product((None, "standard", "other"), repeat=2):
        signed = scope_for("review", PARTS | ({"change": then} if then else {}))
        parts = PARTS | ({"change": now} if now else {})
        assert holds(signed, "review", parts, "") == (then is None or then == now), (then, now)


def test_an_owner_covers_their_own_consumers_alone() -> None:
    """A part under the name of the role is covered by whoever signs in it."""
    parts = {**PARTS, "consumer-7": "theirs", "consumer-8": "others"}
    signed = scope_for("review", parts, "consumer-7")
    assert set(signed) == {*COVERS["review"], "consumer-7"}
    assert holds(signed, "review", {**parts, "consumer-8": "changed"}, "consumer-7")
    assert not holds(signed, "review", {**parts, "consumer-7": "changed"}, "consumer-7")
    assert touched(signed, {**parts, "consumer-7": "changed"}) == ("consumer-7",)


def test_parts_are_read_in_one_order_and_in_words() -> None:
    names = ["consumer-7", "policy", "unheard of", "handoff", "deployment"]
    assert in_order(dict.fromkeys(names, "")) == ["handoff", "policy", "deployment", "consumer-7", "unheard of"]
    assert in_words(["policy", "consumer-7", "x"]) == "the policy revision, the consumers that the owner answers for, x"
    assert set(COVERS["confirm"]) <= set(WORDS)
