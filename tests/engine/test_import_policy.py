"""Import policies: each library gets one answer with its reason; a policy that is odd is refused by field."""

from typing import Any

import pytest

from engine.import_policy import ImportPolicy, PolicyError

POLICY: dict[str, Any] = {
    "default": "warn",
    "rules": {
        "numpy": {"answer": "allow", "versions": ">=2,<3"},
        "Requests": [
            {"answer": "prohibit", "versions": "<2.32", "reason": "Leaks credentials on redirects."},
            {"answer": "allow"},
        ],
        "torch": {"answer": "prohibit", "reason": "Not run here."},
        "pandas": {"answer": "warn", "versions": ">=3"},
    },
    "licences": ["MIT", "BSD-3-Clause"],
    "install": {"numpy": "2.4.6", "scikit-learn": "1.9.1"},
}


@pytest.mark.parametrize(
    ("library", "version", "licence", "answer", "words"),
    [
        ("numpy", "2.4.6", "", "allow", "<3"),
        ("numpy", "2.5.0rc1", "", "allow", "<3"),
        ("NumPy", "1.26.0", "", "prohibit", "Only <3,>=2 is let in"),
        ("requests", "2.31.0", "", "prohibit", "Leaks credentials"),
        ("requests", "2.32.1", "", "allow", "every version"),
        ("torch", "2.9", "", "prohibit", "Not run here"),
        ("pandas", "3.0", "", "warn", ">=3"),
        ("pandas", "2.3", "", "prohibit", "Only >=3"),
        ("unheard-of", "1", "", "warn", "not listed"),
        ("unheard_of", "1", "GPL-3.0", "prohibit", "GPL-3.0"),
        ("unheard-of", "1", "mit", "warn", "not listed"),
        ("numpy", "latest", "", "prohibit", "not a version"),
    ],
)
def test_each_library_gets_its_answer(library: str, version: str, licence: str, answer: str, words: str) -> None:
    verdict = ImportPolicy.parse(POLICY).check(library, version, licence)
    assert (verdict.answer, verdict.library, verdict.version) == (answer, library, version)
    assert words in verdict.reason


def test_what_is_prohibited_names_what_is_installed_instead() -> None:
    policy = ImportPolicy.parse(POLICY)
    assert policy.check("numpy", "1.26").nearest == "2.4.6"
    assert policy.check("scikit_learn", "1.2").nearest == "1.9.1"
    assert policy.check("numpy", "2.1").nearest == ""
    known = ["1.26", "2.0", "2.4.6", "3.0"]
    assert policy.nearest_allowed("numpy", "1.26", known) == "2.0"
    assert policy.nearest_allowed("numpy", "3.1", known) == "2.4.6"
    assert policy.nearest_allowed("numpy", "2.2", known) == "2.0"
    assert policy.nearest_allowed("torch", "2.9", ["2.9"]) == ""


def test_the_worst_comes_first() -> None:
    found = ImportPolicy.parse(POLICY).check_all({"numpy": "2.4", "zlib": "1", "torch": "2"}, {"zlib": "MIT"})
    assert [(one.library, one.answer) for one in found] == [("torch", "prohibit"), ("zlib", "warn"), ("numpy", "allow")]


@pytest.mark.parametrize("default", ["allow", "warn", "prohibit"])
def test_the_unlisted_get_the_default(default: str) -> None:
    assert ImportPolicy.parse({"default": default}).check("any", "1").answer == default
    assert ImportPolicy.parse({}).check("any", "1").answer == "warn"


@pytest.mark.parametrize(
    ("content", "code", "where"),
    [
        ("allow all", "policy_malformed", ""),
        ({"defualt": "warn"}, "policy_unknown_key", "defualt"),
        ({"default": "maybe"}, "policy_malformed", "default"),
        ({"rules": []}, "policy_malformed", "rules"),
        ({"rules": {"numpy": "allow"}}, "policy_malformed", "rules.numpy"),
        ({"rules": {"numpy": []}}, "policy_malformed", "rules.numpy"),
        ({"rules": {"numpy": {"answer": "yes"}}}, "policy_malformed", "rules.numpy.answer"),
        ({"rules": {"numpy": [{"answer": "allow", "version": ">2"}]}}, "policy_unknown_key", "rules.numpy[0].version"),
        ({"rules": {"numpy": {"answer": "allow", "versions": "two"}}}, "policy_malformed", "rules.numpy.versions"),
        ({"rules": {"numpy": {"answer": "allow", "versions": 2}}}, "policy_malformed", "rules.numpy.versions"),
        ({"rules": {"a-b": {"answer": "allow"}, "a_b": {"answer": "warn"}}}, "policy_malformed", "rules"),
        ({"licences": "MIT"}, "policy_malformed", "licences"),
        ({"install": ["numpy"]}, "policy_malformed", "install"),
        ({"install": {"numpy": "newest"}}, "policy_malformed", "install.numpy"),
        ({"install": {"numpy": "1.0"}, "rules": {"numpy": {"answer": "allow", "versions": ">2"}}}, "policy_malformed",
         "install.numpy"),
    ],
)  # fmt: skip
def test_an_odd_policy_is_refused_by_field(content: Any, code: str, where: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        ImportPolicy.parse(content)
    assert (refusal.value.code, refusal.value.field) == (code, where)
