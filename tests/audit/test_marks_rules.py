"""Marks, which stand for names in what is hashed and signed: what they commit to, and where names take their place."""

from hashlib import sha256
from types import ModuleType
from typing import Any

import pytest

from audit import marks, verify_pack
from audit.marks import mark_of, marks_in, new_salt, told

SALT, GONE = "5a" * 32, "Person 0123abcd (left)"
VERA, RITA, MALLORY = (mark_of(SALT, name) for name in ("Vera Lang", "Rita Berg", "Mallory"))
NAMES = {VERA: "Vera Lang", RITA: "Rita Berg"}
MODULES = pytest.mark.parametrize("module", [marks, verify_pack])


def test_a_mark_is_the_hash_of_salt_and_name() -> None:
    assert mark_of("abc", "Zoë") == f"name:{sha256('abcZoë'.encode()).hexdigest()}"


def test_a_salt_is_of_256_bits_and_never_the_same() -> None:
    salts = {new_salt() for _ in range(9)}
    assert ({len(bytes.fromhex(salt)) for salt in salts}, len(salts)) == ({32}, 9)


def test_marks_are_found_wherever_they_stand() -> None:
    assert marks_in(f"{VERA} for {RITA}, x", "", f"x{VERA}") == {VERA, RITA}
    assert marks_in() == marks_in("Vera Lang", VERA[:-1], VERA.upper()) == set()


@MODULES
def test_a_name_stands_in_the_place_of_its_mark_if_it_is_known(module: ModuleType) -> None:
    assert module.spoken(f"{VERA} for {MALLORY}, {RITA}", NAMES) == f"Vera Lang for {MALLORY}, Rita Berg"


def test_names_stand_in_the_place_of_marks_in_all_of_some_json() -> None:
    content: Any = {"who": [VERA, {"for": RITA, "odd": MALLORY}], VERA: 7, "none": None, "yes": True, "rate": 1.5}
    assert told(content, NAMES) == {
        "who": ["Vera Lang", {"for": "Rita Berg", "odd": MALLORY}], VERA: 7, "none": None, "yes": True, "rate": 1.5,
    }  # fmt: skip


@MODULES
@pytest.mark.parametrize(
    ("shown", "signed", "expected"),
    [
        ("Vera Lang", VERA, True),
        ("Vera Lang for Rita Berg", f"{VERA} for {RITA}", True),
        ("Rita Berg", VERA, False),
        (VERA, VERA, False),
        (GONE, VERA, False),
        (MALLORY, MALLORY, True),  # of whom nothing is known
        ("Vera Lang", "Vera Lang", True),
        (GONE, "Vera Lang", True),
        (f"Vera Lang for {GONE}", "Vera Lang for Rita Berg", True),
        (f"{GONE} for Mallory", "Vera Lang for Rita Berg", False),
        (f"Mallory for {GONE}", "Vera Lang for Rita Berg", False),
        ("Mallory", "Vera Lang", False),
        (f"{GONE}!", "Vera Lang", False),
        (f"Dr {GONE}", "Vera Lang", False),
        ("Vera Lang for Rita Berg", "Vera Lang", False),
        ("Vera Lang", "Vera Lang for Rita Berg", False),
    ],
)
def test_a_name_is_shown_as_it_was_signed_or_by_a_pseudonym(
    module: ModuleType, shown: str, signed: str, expected: bool
) -> None:
    assert module.shows(shown, signed, NAMES) is expected
