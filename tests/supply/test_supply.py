"""What the product is made of is pinned, hashed, allowed and told; what nobody could be asked of is said so."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from supply import advisories, bill, installs, licences, locks, record
from supply.errors import Wrong
from supply.licences import Terms
from supply.locks import Locked

HASH = "a" * 64
TERMS = Terms(frozenset({"MIT", "BSD-3-Clause"}), {"odd": {"licence": "LGPL-3.0-only", "reason": "why"}}, {})


@pytest.fixture(scope="module")
def locked() -> dict[str, Locked]:
    """What is locked today."""
    return locks.read()


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (f"one>=1 \\\n    --hash=sha256:{HASH}\n", "", "is not pinned"),
        ("one==1\n", "", "has no hash"),
        ("one==1 \\\n    --hash=md5:0\n", "", "has no hash"),
        ("git+https://example.org/one\n", "", "is not pinned"),
        (f"one==1 \\\n    --hash=sha256:{HASH}\n", f"one==2 \\\n    --hash=sha256:{HASH}\n", "at 2, another list at 1"),
    ],
)
def test_a_list_that_locks_nothing_is_refused(tmp_path: Path, first: str, second: str, words: str) -> None:
    (tmp_path / "a.txt").write_text(first)
    (tmp_path / "b.txt").write_text(second)
    with pytest.raises(Wrong, match=words):
        locks.read(tmp_path, ("a.txt", "b.txt"))


@pytest.mark.parametrize(
    ("package", "licence", "words"),
    [
        ("any", "MIT", ""),
        ("any", "MIT OR GPL-3.0-only", ""),
        ("any", "MIT AND BSD-3-Clause", ""),
        ("odd", "LGPL-3.0-only", ""),
        ("any", "MIT AND GPL-3.0-only", "is not allowed"),
        ("any", "LGPL-3.0-only", "is not allowed"),
        ("odd", "AGPL-3.0-only", "is not allowed"),
        ("any", "", "is not known"),
        ("any", "Free for all", "is not known"),
    ],
)
def test_a_licence_is_allowed_or_excepted_or_refused(package: str, licence: str, words: str) -> None:
    told = TERMS.refuses(package, licence)
    assert words in told
    assert bool(told) == bool(words)


def test_a_package_that_nobody_looked_at_is_named(locked: dict[str, Locked]) -> None:
    known = record.known()
    assert record.gaps(locked, known) == []
    newer = locked | {"django": Locked("django", "9"), "stranger": Locked("stranger", "1")}
    assert [words.partition(":")[0] for words in record.gaps(newer, known)] == ["django", "stranger"]
    with pytest.raises(Wrong, match="stranger"):
        bill.text(locked | {"stranger": Locked("stranger", "1", {HASH}, set(), {locks.SITE})}, known)


def test_the_bill_names_every_part_and_is_the_same_every_time(locked: dict[str, Locked]) -> None:
    written = bill.text(locked, record.known())
    assert bill.faults(bill.FILE.read_text(), written) == []
    assert bill.text(dict(reversed(locked.items())), record.known()) == written
    told = {one["purl"]: one for one in json.loads(written)["components"]}
    for name in (locks.SITE, locks.ENGINE, locks.CLUSTER, locks.INSTALLER):
        for one in locks.read(lists=(name,)).values():
            assert told[f"pkg:pypi/{one.name}@{one.version}"]["licenses"]
    assert {asset["name"] for asset in json.loads(bill.VENDORED.read_text())} == {
        "/".join(filter(None, (one.get("group"), one["name"]))) for purl, one in told.items() if "npm" in purl
    }
    assert not any("pytest" in purl for purl in told)


def test_another_lock_makes_the_bill_stale_and_a_broken_one_is_told(locked: dict[str, Locked]) -> None:
    django = locked["django"]
    other = locked | {"django": Locked("django", "9.9", django.hashes, django.asked_by, django.lists)}
    stale = bill.faults(bill.FILE.read_text(), bill.text(other, record.known()))
    assert len(stale) == 1
    assert "make bill" in stale[0]
    broken = bill.FILE.read_text().replace('"specVersion": "1.6"', '"specVersion": "1.6", "secret": 1')
    assert "breaks the schema" in bill.faults(broken, broken)[0]


@pytest.mark.parametrize(
    "line", ["RUN pip install django", "\tuv pip install -r requirements.txt", "uvx ruff", "see `uv run --with x y`"]
)
def test_an_install_past_the_locks_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM python\n{line}\nRUN pip install --require-hashes -r requirements.txt\n")
    found = installs.unlocked(tmp_path, ("Dockerfile",))
    assert len(found) == 1
    assert found[0].startswith("Dockerfile:2:")
    assert installs.unlocked() == []


def answering(**services: Mapping[str, list[dict[str, Any]] | None]) -> Callable[[str], advisories.Answer]:
    """Return services that know some packages with their weaknesses; None: unknown, as pip-audit says it."""

    def told(name: str, weak: list[dict[str, Any]] | None) -> dict[str, Any]:
        return {"name": name} | ({"skip_reason": "not found"} if weak is None else {"version": "1", "vulns": weak})

    def ask(service: str) -> advisories.Answer:
        return {"dependencies": [told(name, weak) for name, weak in services.get(service, {}).items()]}

    return ask


@pytest.mark.parametrize(
    ("ask", "code", "weak", "silent"),
    [
        (answering(pypi={"a": [], "b": []}), 0, 0, []),
        (answering(), 2, 0, ["a", "b"]),
        (answering(pypi={"a": [], "b": None}), 2, 0, ["b"]),
        (answering(pypi={"a": [], "b": None}, osv={"b": []}), 0, 0, []),
        (answering(pypi={"a": [{"id": "CVE-1", "fix_versions": ["2"]}], "b": None}), 1, 1, ["b"]),
    ],
)
def test_silence_about_weaknesses_is_not_taken_for_health(
    ask: Callable[[str], advisories.Answer], code: int, weak: int, silent: list[str]
) -> None:
    found = advisories.outcome({"a": Locked("a", "1"), "b": Locked("b", "1")}, ask)
    assert (found.code, len(found.weak), found.silent) == (code, weak, silent)


def test_every_exception_has_a_reason_and_is_needed() -> None:
    terms, known = licences.terms(), record.known()
    for name, told in terms.excepted.items():
        assert told["reason"]
        assert known[name].licence == told["licence"]
        assert licences.Terms(terms.allowed, {}, {}).refuses(name, told["licence"])
    assert terms.read.keys() <= known.keys()
