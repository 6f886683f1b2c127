"""How much each kind of difference matters, and the reason as people read it: every case, and both of its sides."""

from itertools import product

import pytest

from handoff.rules.severities import (
    EQUAL,
    SEVERITIES,
    Severity,
    at_least,
    of_interpreters,
    of_transports,
    of_unasked,
    of_versions,
    of_words,
    version_of,
)


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("1.4.2", "1.4.2", ("none", "equal")),
        ("nightly", "nightly", ("none", "equal")),
        ("", "", ("none", "equal")),
        ("1.4.2", "1.4.3", ("low", "patch version change")),
        ("1.4.3", "1.4.2", ("low", "patch version change, backwards")),
        ("1.4.2", "1.4.2.post1", ("low", "patch version change")),
        ("1.4.2", "1.5.0", ("medium", "minor version change")),
        ("1.5.0", "1.4.2", ("medium", "minor version change, backwards")),
        ("1.4.2", "2.4.2", ("high", "major version jump")),
        ("2.4.2", "1.4.2", ("high", "major version jump, backwards")),
        ("1.4.2", "1!1.4.2", ("high", "major version jump")),
        ("1!1.4.2", "1.4.2", ("high", "major version jump, backwards")),
        ("1.4", "1.4.0", ("low", "the same version, written differently")),
        ("1.4.2", "", ("high", "not installed in the target")),
        ("", "1.4.2", ("medium", "not installed in the source: nobody built the model with it")),
        ("1.4.2", "nightly", ("high", "a version that cannot be compared")),
        ("nightly", "1.4.2", ("high", "a version that cannot be compared")),
        ("nightly", "weekly", ("high", "a version that cannot be compared")),
    ],
)
def test_two_versions_of_a_library_are_as_far_apart_as_the_first_number_that_differs(
    here: str, there: str, expected: tuple[str, str]
) -> None:
    assert of_versions(here, there) == expected


def test_a_version_that_cannot_be_read_is_none() -> None:
    found = version_of("2.1.0rc1")
    assert found is not None
    assert (found.major, found.minor, found.micro, found.pre) == (2, 1, 0, ("rc", 1))
    assert version_of("nightly") is None


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("3.11.7", "3.11.7", ("none", "equal")),
        ("", "", ("none", "equal")),
        ("3.11.7", "3.11.9", ("low", "interpreter change: patch version change")),
        ("3.11.7", "3.12.1", ("medium", "interpreter change: minor version change")),
        ("3.11.7", "2.7.18", ("high", "interpreter change: major version jump, backwards")),
        ("", "3.12.1", ("high", "the interpreter is not known on both sides")),
        ("3.11.7", "", ("high", "the interpreter is not known on both sides")),
    ],
)
def test_an_interpreter_must_be_known_on_both_sides(here: str, there: str, expected: tuple[str, str]) -> None:
    assert of_interpreters(here, there) == expected


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("1.4.2", "1.4.2", ("none", "equal")),
        ("1.4.2", "1.4.3", ("low", "patch version change")),
        ("1.4.2", "2.0", ("low", "major version jump")),
        ("1.4.2", "", ("low", "only in the source")),
        ("", "1.4.2", ("low", "only in the target")),
    ],
)
def test_a_library_that_nobody_asks_for_matters_little(here: str, there: str, expected: tuple[str, str]) -> None:
    assert of_unasked(of_versions(here, there)) == expected


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("8 CPU", "8 CPU", ("none", "equal")),
        ("", "", ("none", "equal")),
        ("8 CPU", "4 CPU", ("medium", "other hardware")),
        ("8 CPU", "", ("medium", "other hardware; the target says nothing")),
        ("", "4 CPU", ("medium", "other hardware; the source says nothing")),
    ],
)
def test_two_texts_are_equal_or_one_of_them_says_nothing(here: str, there: str, expected: tuple[str, str]) -> None:
    assert of_words("medium", "other hardware", here, there) == expected


MEDIA = {
    "inline": "a file",
    "file": "a file",
    "file-drop": "a file",
    "object": "a file",
    "http": "a service",
    "webhook": "a service",
    "kafka": "a stream",
    "valkey": "a stream",
    "redis": "a stream",
    "sql": "a table",
}


def test_a_transport_to_another_of_its_medium_matters_little_and_to_another_medium_more() -> None:
    for here, there in product(MEDIA, MEDIA):
        one, other = MEDIA[here], MEDIA[there]
        expected = Severity("low", f"another encoding of {other}")
        if one != other:
            expected = Severity("medium", f"from {one} to {other}")
        assert of_transports(f"{here}, csv", f"{there} , json") == expected
        assert of_transports(here, there) == (EQUAL if here == there else expected)


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("pigeon", "pigeon", ("none", "equal")),
        ("pigeon", "raven", ("low", "another transport")),
        ("pigeon", "kafka, avro", ("medium", "from pigeon to a stream")),
        ("kafka, avro", "pigeon", ("medium", "from a stream to pigeon")),
    ],
)
def test_a_transport_that_nobody_knows_is_told_as_it_is_written(
    here: str, there: str, expected: tuple[str, str]
) -> None:
    assert of_transports(here, there) == expected


def test_a_severity_is_raised_to_a_level_and_never_lowered() -> None:
    for least, level in product(SEVERITIES, SEVERITIES):
        higher = max(least, level, key=("none", "low", "medium", "high").index)
        assert at_least(least, Severity(level, "because")) == (higher, "because")
