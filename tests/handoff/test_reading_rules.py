"""What people wrote is read strictly, part by part: what each kind of part may be, up to its last character."""

from typing import Any

import pytest

from handoff.rules.reading import LONGEST_LIST, LONGEST_TEXT, Reader, likeness

WORDS = ("review", "release", "confirm")
ROWS = f"must be a list of at most {LONGEST_LIST} mappings"
TEXT = f"must be a text of at most {LONGEST_TEXT} characters"
TEXTS = "must be a list of at most 100 short texts"
SLUG = "must be a short name of letters, digits, - and _, at most 50"
WHOLE = "must be a whole number of days from 1 to 7"
NUMBER = "must be a number from -0.5 to 2"
SOME = "must be a list, not empty, of review, release, confirm"
ANY = "must be a list of review, release, confirm"


def tried(part: str, raw: Any, *more: Any, **how: Any) -> tuple[Any, Any]:
    """Return what is read in the place `p`, and what is wrong there."""
    reader = Reader()
    return getattr(reader, part)("p", raw, *more, **how), reader.mistakes


@pytest.mark.parametrize(
    ("word", "known", "told"),
    [
        ("reveiw", WORDS, " (did you mean review?)"),
        ("reviews", ("reviewed", "review"), " (did you mean review?)"),
        ("colour", WORDS, ""),
        ("", WORDS, ""),
        ("review", (), ""),
    ],
)
def test_the_word_that_is_most_like_another_is_named(word: str, known: tuple[str, ...], told: str) -> None:
    assert likeness(word, known) == told
    assert likeness(word, iter(known)) == told


def test_the_first_word_on_a_place_stays() -> None:
    reader = Reader()
    assert (reader.mistakes, reader.keys) == ({}, set())
    reader.wrong("p", "is odd")
    reader.wrong("p", "is odd in another way")
    reader.wrong("q", "is odd")
    assert reader.mistakes == {"p": "is odd", "q": "is odd"}


def test_only_known_keys_may_stand_in_a_mapping() -> None:
    reader = Reader()
    reader.unknown("p", {"review": 1, "reveiw": 2, 7: 3}, iter(WORDS))
    reader.unknown("", {"colour": 1}, set())
    known = "; known are confirm, release, review"
    assert reader.mistakes == {
        "p.reveiw": f"is not known (did you mean review?){known}",
        "p.7": f"is not known{known}",
        "colour": "is not known; known are ",
    }


@pytest.mark.parametrize(
    ("part", "raw"),
    [
        ("mapping", {}),
        ("mapping", {"a": 1}),
        ("rows", []),
        ("rows", [{}, {"a": 1}]),
        ("rows", [{}] * LONGEST_LIST),
        ("text", "a"),
        ("text", " a "),
        ("text", "a" * LONGEST_TEXT),
        ("slug", "a"),
        ("slug", "7"),
        ("slug", "-_a"),
        ("slug", "a" * 50),
        ("flag", True),
        ("flag", False),
    ],
)
def test_what_is_well_written_is_read_as_it_is(part: str, raw: Any) -> None:
    assert tried(part, raw) == (raw, {})


@pytest.mark.parametrize(
    ("part", "raw", "found", "told"),
    [
        ("mapping", None, {}, "must be a mapping"),
        ("mapping", [1], {}, "must be a mapping"),
        ("rows", None, [], ROWS),
        ("rows", {}, [], ROWS),
        ("rows", [{}, "a"], [], ROWS),
        ("rows", [{}] * (LONGEST_LIST + 1), [], ROWS),
        ("text", None, "None", TEXT),
        ("text", 7, "7", TEXT),
        ("text", "", "", TEXT),
        ("text", " \n", " \n", TEXT),
        ("text", "a" * (LONGEST_TEXT + 1), "a" * (LONGEST_TEXT + 1), TEXT),
        ("texts", None, (), TEXTS),
        ("texts", "ab", (), TEXTS),
        ("texts", ["a", ""], (), TEXTS),
        ("texts", ["a", 7], (), TEXTS),
        ("texts", ["a" * 201], (), TEXTS),
        ("texts", ["a"] * 101, (), TEXTS),
        ("slug", None, "None", SLUG),
        ("slug", 7, "7", SLUG),
        ("slug", "", "", SLUG),
        ("slug", "-_", "-_", SLUG),
        ("slug", "a b", "a b", SLUG),
        ("slug", "a" * 51, "a" * 51, SLUG),
        ("flag", None, False, "must be true or false"),
        ("flag", 1, False, "must be true or false"),
        ("flag", "true", False, "must be true or false"),
    ],
)
def test_what_is_written_otherwise_is_told_with_its_place(part: str, raw: Any, found: Any, told: str) -> None:
    """What is read instead is nothing that could be taken for an answer."""
    assert tried(part, raw) == (found, {"p": told})


def test_short_texts_are_read_in_their_order() -> None:
    for raw in ([], ["b", "a"], ["a" * 200], ["a"] * 100):
        assert tried("texts", raw) == (tuple(raw), {})


def test_a_key_stands_once_in_the_whole_document() -> None:
    reader = Reader()
    assert [reader.key(place, "purpose") for place in ("a", "b")] == ["purpose", "purpose"]
    assert reader.key("c", "runbook") == "runbook"
    assert reader.key("d", "a b") == "a b"
    assert reader.mistakes == {"b.key": "purpose stands twice in the policy", "d.key": SLUG}
    assert reader.keys == {"purpose", "runbook", "a b"}


@pytest.mark.parametrize(
    ("raw", "good"),
    [(0, False), (1, True), (7, True), (8, False), (True, False), (2.0, False), ("2", False), (None, False)],
)
def test_a_whole_number_lies_between_two(raw: Any, good: bool) -> None:
    assert tried("whole", raw, 1, 7, of="of days ") == ((raw, {}) if good else (1, {"p": WHOLE}))


def test_a_number_that_is_of_no_unit_is_told_without_one() -> None:
    assert tried("whole", "x", 1, 7) == (1, {"p": "must be a whole number from 1 to 7"})


@pytest.mark.parametrize(
    ("raw", "good"),
    [
        (-0.51, False),
        (-0.5, True),
        (0, True),
        (1.25, True),
        (2, True),
        (2.01, False),
        (True, False),
        ("1", False),
        (float("nan"), False),
    ],
)
def test_a_number_lies_between_two(raw: Any, good: bool) -> None:
    assert tried("number", raw, -0.5, 2) == ((raw, {}) if good else (-0.5, {"p": NUMBER}))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("release", ""),
        ("releese", "must be one of review, release, confirm (did you mean release?)"),
        ("colour", "must be one of review, release, confirm"),
        (None, "must be one of review, release, confirm"),
        ([], "must be one of review, release, confirm"),
    ],
)
def test_one_of_several_words_is_read(raw: Any, told: str) -> None:
    assert tried("one_of", raw, WORDS) == (str(raw), {"p": told} if told else {})


@pytest.mark.parametrize(
    ("raw", "empty", "found", "told"),
    [
        (["confirm", "review"], False, ("review", "confirm"), ""),
        (["confirm", "confirm"], False, ("confirm",), ""),
        ([], True, (), ""),
        (["release"], True, ("release",), ""),
        ([], False, (), SOME),
        (None, False, (), SOME),
        (None, True, (), ANY),
        ("review", False, (), SOME),
        ({"review": 1}, True, (), ANY),
        (["review", "reveiw"], False, (), f"{SOME} (did you mean review?)"),
        (["review", "confrim", "reveiw"], True, (), f"{ANY} (did you mean confirm?)"),
        ([7], False, (), SOME),
    ],
)
def test_some_of_several_words_are_read_in_the_order_in_which_they_are_known(
    raw: Any, empty: bool, found: tuple[str, ...], told: str
) -> None:
    assert tried("subset", raw, WORDS, empty=empty) == (found, {"p": told} if told else {})


def test_a_list_of_words_is_not_empty_unless_that_is_said() -> None:
    assert tried("subset", [], WORDS) == ((), {"p": SOME})
