"""The text of a policy at every door: what is no policy is refused with line and place, and nothing is published."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from django.conf import settings
from django.core.management import CommandError, call_command
from django.urls import reverse
from rest_framework.test import APIClient

from audit.models import AuditEvent
from handoff.errors import Refused
from handoff.models import PolicyRevision
from handoff.rules.policies import understood
from handoff.rules.policy_reader import PolicyReader
from handoff.rules.policy_schema import schema
from handoff.services import policies
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of

GOOD = (settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
BAD = {
    "no YAML": ("policy: [", "policy_not_yaml", ""),
    "a list": ("- policy", "policy_not_yaml", ""),
    "nothing": ("# nothing", "policy_not_yaml", ""),
    "a bomb of aliases": (BOMB, "policy_not_yaml", ""),
    "a key that stands twice": (GOOD + "tests: [golden]\n", "policy_not_yaml", ""),
    "an object of Python": ("policy: !!python/object/apply:os.getcwd []", "policy_not_yaml", ""),
    "nested without end": ("policy: " + "[" * 5000, "policy_not_yaml", ""),
    "a number that JSON has not": ("policy: .nan", "policy_not_yaml", ""),
    "keys that are no words": ("1: 2", "policy_not_yaml", ""),
    "an unknown key": (GOOD.replace("expires_after_days:", "expires_after:"), "policy_invalid", "expires_after"),
    "an unknown key of a sign-off": (
        GOOD.replace("role: validator\n", "role: validator\n        colour: red\n"),
        "policy_invalid",
        "signoffs[0].colour",
    ),
    "an unknown role": (GOOD.replace("role: validator", "role: auditor"), "policy_invalid", "signoffs[0].role"),
    "a role that is spelled otherwise": (
        GOOD.replace("role: validator", "role: validater"),
        "policy_invalid",
        "did you mean validator?",
    ),
    "an impossible quorum": (
        GOOD.replace("role: validator", "quorum: {of: [validator, model_owner], count: 3}"),
        "policy_invalid",
        "quorum.count",
    ),
    "items that decide each other": (
        GOOD.replace("key: purpose\n", "key: purpose\n        visible_if: {runbook: yes}\n").replace(
            "key: runbook\n", "key: runbook\n        visible_if: {purpose: yes}\n"
        ),
        "policy_invalid",
        "visible_if",
    ),
    "a canary that no gate ends": (GOOD + "strategy: {kind: canary}\n", "policy_invalid", "ends at the confirm gate"),
    "nobody signs": (GOOD[: GOOD.index("  release:")], "policy_invalid", "gates.release.signoffs"),
}


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


def by_service(site: Place, source: str, folder: Path) -> tuple[str, str]:
    with pytest.raises(Refused) as refusal:
        policies.publish(actor=by(site.ada), source=source)
    return refusal.value.code, str(refusal.value.fields)


def by_api(site: Place, source: str, folder: Path) -> tuple[str, str]:
    client = APIClient()
    client.force_authenticate(site.ada)
    answer = client.post(reverse("api:policies"), {"source": source}, headers={"Idempotency-Key": "once"})
    told = client.post(reverse("api:policy-validate"), {"source": source})
    assert (answer.status_code, told.status_code) == (422, 422)
    assert answer.json()["fields"] == told.json()["fields"]
    return answer.json()["code"], str(answer.json()["fields"])


def by_page(site: Place, source: str, folder: Path) -> tuple[str, str]:
    answer = client_of(site.ada).post(reverse("policy-publish"), {"source": source, "seen": "0" * 64})
    assert answer.status_code == 422
    problem = answer.context["form"].problem
    return problem.code, str(problem.fields)


def by_command(site: Place, source: str, folder: Path) -> tuple[str, str]:
    file = folder / "policy.yaml"
    file.write_text(source)
    with pytest.raises(CommandError) as refusal:
        call_command("policy", "publish", str(file), "--by", "ada", "--yes", stdout=StringIO())
    cause = refusal.value.__cause__
    assert isinstance(cause, Refused)
    return cause.code, str(refusal.value)


@pytest.mark.django_db
@pytest.mark.parametrize("door", [by_service, by_api, by_page, by_command])
def test_what_is_no_policy_is_refused_at_every_door(
    door: Callable[[Place, str, Path], tuple[str, str]], site: Place, tmp_path: Path
) -> None:
    revisions, events = PolicyRevision.objects.count(), AuditEvent.objects.filter(action="policy.published").count()
    for what, (source, code, place) in BAD.items():
        found, told = door(site, source, tmp_path)
        assert (found, place in told) == (code, True), what
        assert not place or "(line " in told, what
    assert PolicyRevision.objects.count() == revisions
    assert AuditEvent.objects.filter(action="policy.published").count() == events


@pytest.mark.django_db
def test_what_is_no_policy_is_refused_in_the_admin(site: Place) -> None:
    """The admin shows words where the other doors give a code."""
    revisions, events = PolicyRevision.objects.count(), AuditEvent.objects.filter(action="policy.published").count()
    client, address = client_of(site.ada), reverse("admin:handoff_policyrevision_add")
    for what, (source, _, place) in BAD.items():
        answer = client.post(address, {"source": source})
        told = str(answer.context["errors"])
        assert (answer.status_code, bool(told), place in told) == (200, True, True), what
        assert not place or "(line " in told, what
    assert PolicyRevision.objects.count() == revisions
    assert AuditEvent.objects.filter(action="policy.published").count() == events


def test_a_mistake_tells_its_line() -> None:
    source = GOOD.replace("role: validator", "role: validater").replace("meaning: approval", "meaning: approve")
    with pytest.raises(Refused) as refusal:
        understood(source)
    lines = source.splitlines()
    wrongs = {"gates.review.signoffs[0].role": "validater", "gates.release.signoffs[0].meaning": "approve"}
    for place, wrong in wrongs.items():
        line = next(number for number, text in enumerate(lines, 1) if text.endswith(f": {wrong}"))
        assert str(refusal.value.fields[place]).endswith(f"(line {line})")


def test_times_and_dates_need_no_quotes() -> None:
    source = GOOD + (
        "windows: [{zone: UTC, open: [{from: 09:00, to: 16:30}]}]\n"
        "freezes: [{name: x, zone: UTC, from: 2026-12-24, to: 2026-12-26}]\n"
    )
    content, _ = understood(source)
    assert content["windows"][0]["open"] == [{"from": "09:00", "to": "16:30"}]
    assert content["freezes"][0]["from"] == "2026-12-24"


# The schema


def test_the_paper_and_the_api_have_the_schema_of_the_reader() -> None:
    """After a change: `manage.py policy schema > docs/policy.schema.json`."""
    assert json.loads((settings.BASE_DIR / "docs/policy.schema.json").read_text()) == schema()
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.django_db
def test_the_api_gives_the_schema(site: Place) -> None:
    client = APIClient()
    client.force_authenticate(site.mallory)
    assert client.get(reverse("api:policy-schema")).json() == schema()


def the_example() -> dict[str, Any]:
    """Return the example in the paper, which has every key."""
    paper = (settings.BASE_DIR / "docs/policies.md").read_text()
    return understood(paper.split("```yaml\n")[1].split("```")[0])[0]


def places_in(content: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to every place in plain data."""
    steps = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for step, value in steps:
        yield (*way, step)
        yield from places_in(value, (*way, step))


def changed(content: dict[str, Any], way: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return plain data with another value in one place; without it where the value is Ellipsis."""
    found: Any = deepcopy(content)
    at = found
    for step in way[:-1]:
        at = at[step]
    if value is ...:
        del at[way[-1]]
    else:
        at[way[-1]] = value
    return dict(found)


# What holds between places, and which zones there are, only the reader knows.
ONLY_READ = (
    "stands twice", "nobody must sign", "can never be met", "time zone", "in a circle", "asks for no sign-off",
    "would wait for", "before the first day", "at which it opens", "nothing is above", "is constrained by no rule",
    "means nothing for", "must be a rule such", "and no other kind", "is no item of this",
    "has no answer", "tests run after",
    "takes no list", "it can be", "nobody answers", "such as 2026-12-24", "does not go with",
    "needs the promotion test", "signs nothing at that gate", "ends at the confirm gate", "nobody would have to sign",
    "days of the interval", "must say every_days",
)  # fmt: skip


def test_the_schema_and_the_reader_refuse_the_same() -> None:
    """Every place of the example, with every kind of odd value, and without it."""
    example, validator = the_example(), jsonschema.Draft202012Validator(schema())
    odd = [None, 5, 0.5, -1, True, "x", "", [], ["x"], [5], {}, {"x": 1}, ..., "y" * 1001, 10**13]
    tried = 0
    for way in places_in(example):
        for value in odd:
            content = changed(example, way, value)
            reader = PolicyReader()
            reader.policy(content)
            valid = validator.is_valid(content)
            told = {place: why for place, why in reader.mistakes.items() if not any(w in why for w in ONLY_READ)}
            assert valid or reader.mistakes, (way, value)
            assert not (valid and told), (way, value, told)
            tried += 1
    assert tried > 1000


@pytest.mark.parametrize("file", sorted(Path(settings.BASE_DIR / "handoff/policies").glob("*.yaml")))
def test_the_policies_that_come_along_are_policies(file: Path) -> None:
    content, _ = understood(file.read_text())
    jsonschema.validate(content, schema())
    assert yaml.safe_load(file.read_text())["policy"] == file.stem
