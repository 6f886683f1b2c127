"""No pattern that is accepted can be made to take long, whatever the text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SchemaError
from engine.patterns import LONGEST_MATCHED, compile_pattern

LONG = 0.5


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a*)*b",
        "(a|a?)+",
        "(a?){24}a{24}",
        "(|a)" * 25,
        "(a|b|ab)" * 20,
        "(a{0,1}){24}b",
        "(^){100000000}",
        "[ab]*[ab]*[ab]*c",
        ".*.*.*x",
        r"(\w+\s?)*",
        "a?" * 60 + "a" * 60,
        r"(a)\1",
        "(?=a)a",
        "(?<!a)b",
        "(?i)a",
        "(?i:a)b",
        "(?>a+)b",
        "a++b",
    ],
)
def test_a_pattern_that_could_explode_is_refused(pattern: str) -> None:
    with pytest.raises(SchemaError) as refusal:
        compile_pattern(pattern, "code")
    assert (refusal.value.code, refusal.value.field) == ("pattern_unsafe", "code")


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "a" * 201, "a{2,1}", "[[a]", 7, None, "*", "a{99999999999}"])
def test_what_is_no_pattern_is_refused(pattern: object) -> None:
    with pytest.raises(SchemaError) as refusal:
        compile_pattern(pattern, "code")
    assert refusal.value.code == "pattern_invalid"


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[A-Z]{3}-\d{4}", "ABC-1234", "ABC-12345"),
        (r"\d+\.\d+\.\d+", "1.20.3", "1.20"),
        (r"\d{1,3}(\.\d{1,3}){3}", "10.0.0.255", "10.0.0"),
        (r"[^@]+@[^@]+\.[^@]+", "dana@example.org", "dana@example"),
        (r"[a-z0-9]+(-[a-z0-9]+)*", "a-model-3", "a--b"),
        (r"[A-Z]{2}\d{2}( ?[A-Z0-9]{4}){1,7}", "GB29 NWBK 6016", "GB2"),
        (r"(red|green|blue)", "green", "greenish"),
        (r"-?\d+(\.\d+)?", "-1.5", "1."),
        (r"(19|20)\d\d-(0[1-9]|1[0-2])", "2026-11", "2026-13"),
    ],
)
def test_usual_patterns_are_accepted_and_match_whole_texts(pattern: str, good: str, bad: str) -> None:
    compiled = compile_pattern(pattern, "code")
    assert compiled.fullmatch(good)
    assert not compiled.fullmatch(bad)


pieces = st.sampled_from(["a", "b", "ab", ".", "[ab]", "[^a]", r"\w", r"\d", "-", "(a|b)", "(a|ab)", "(|a)", "(aa|a)"])
times = st.sampled_from(["", "", "?", "*", "+", "{2}", "{0,3}", "{1,30}", "*?", "+?", "{0,1000}"])
patterns = st.recursive(
    st.tuples(pieces, times).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.tuples(inner, times).map(lambda pair: f"({pair[0]}){pair[1]}"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
    ),
    max_leaves=8,
)
TEXTS = [seed * (LONGEST_MATCHED // len(seed)) for seed in ("a", "b", "ab", "ba", "aab", "a-", "1", "aa-b")]


@settings(deadline=None)  # what counts is processor time, which other processes do not change
@given(patterns)
def test_whatever_is_accepted_is_quick_on_hostile_texts(pattern: str) -> None:
    try:
        compiled = compile_pattern(pattern, "code")
    except SchemaError:
        return
    for text in TEXTS:
        for hostile in (text, text[:-1] + "!", text[:60] + "!", "!" + text):
            started = time.thread_time()
            compiled.fullmatch(hostile)
            assert time.thread_time() - started < LONG, (pattern, hostile[:20])
