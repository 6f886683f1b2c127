"""Profiles of environments: reported by every door, strict, dated, compared, and heard by the import policies."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.actors import Person, ServiceAccount, Worker
from audit.errors import Refused
from audit.models import Account, AuditEvent
from engine.capture import capture
from models_registry.errors import Invalid
from models_registry.models import Environment, EnvironmentProfile, EnvironmentUserGrant, Stream
from models_registry.rules.profiles import digest_of, moved, read
from models_registry.services import profiles
from tests.handoff import building
from tests.handoff.building import Place, a_profile
from tests.handoff.walking import client_of

ROOT = Path(__file__).resolve().parents[2]
V1 = "/api/v1/environments/"


def by_service(who: Account, environment: str, content: Any) -> int:
    """Report by the service."""
    actor = Person(who, "test") if who.is_person else ServiceAccount(who, "test")
    try:
        profiles.report(actor=actor, environment=environment, content=content)
    except Refused as refusal:
        return refusal.status
    return 201


def by_api(who: Account, environment: str, content: Any) -> int:
    """Report over the API, with a real token."""
    client = APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=who)[1]}"})
    return int(client.post(f"{V1}{environment}/profiles/", content, format="json").status_code)


DOORS = pytest.mark.parametrize("door", [by_service, by_api])


def robot(place: Place, role: str = "") -> Account:
    """Return a service account of Otto's, perhaps with a role on production."""
    made = Account.objects.create(username="robot", kind=Account.Kind.SERVICE, responsible=place.otto)
    if role:
        building._grant(EnvironmentUserGrant, made, role, place.target)
    return made


def written(place: Place) -> tuple[Any, ...]:
    """Return all that a report writes."""
    environments = list(Environment.objects.order_by("slug").values("python", "packages", "hardware", "revision"))
    return EnvironmentProfile.objects.count(), AuditEvent.objects.count(), environments


@DOORS
@pytest.mark.parametrize(
    ("who", "environment", "status"),
    [
        ("otto", "production", 201),
        ("robot", "production", 201),
        ("dana", "workbench", 201),
        ("owen", "workbench", 201),
        ("owen", "production", 404),
        ("dana", "production", 403),
        ("iris", "production", 403),
        ("rita", "workbench", 403),
        ("mallory", "production", 404),
        ("dana", "nowhere", 404),
    ],
)
def test_who_runs_an_environment_reports_it(
    who: str, environment: str, status: int, door: Callable[..., int], place: Place
) -> None:
    place.people["robot"] = robot(place, "it_operations")
    place.people["owen"] = building.person("owen")  # holds no role, and answers for the workbench
    Environment.objects.filter(slug="workbench").update(owner=place.owen)
    before = written(place)
    assert door(place.people[who], environment, a_profile()) == status
    if status != 201:
        assert written(place) == before
        return
    made = EnvironmentProfile.objects.get()
    assert (made.number, made.reported_by.username, made.environment.slug) == (1, who, environment)
    assert made.digest == digest_of(made.content)
    assert abs(timezone.now() - made.received_at) < timedelta(minutes=5)
    now = made.environment
    assert (now.python, now.packages["numpy"], now.hardware) == ("3.11.7", "2.4.6", "4 CPU, 16 GB, x86_64")
    assert now.revision == 2


@DOORS
def test_a_service_account_without_a_role_reports_nothing(door: Callable[..., int], place: Place) -> None:
    other, before = robot(place), written(place)
    assert door(other, "production", a_profile()) == 404
    assert written(place) == before


MANY = {f"p{number}": "1" for number in range(3001)}
ODD: list[tuple[dict[str, Any], str, str]] = [
    ({"profile": 2}, "profile_invalid", "profile"),
    ({"surprise": 1}, "profile_invalid", "surprise"),
    ({"captured_at": "yesterday"}, "profile_invalid", "captured_at"),
    ({"captured_at": "2026-11-20T09:00:00"}, "profile_invalid", "captured_at"),
    ({"captured_at": "2999-01-01T00:00:00+00:00"}, "profile_from_the_future", "captured_at"),
    ({"interpreter": {"version": "3.11.7"}}, "profile_invalid", "interpreter.implementation"),
    ({"interpreter": {"implementation": "CPython", "version": "three"}}, "profile_invalid", "interpreter.version"),
    ({"platform": {"system": "L", "release": "6", "machine": "x", "user": "me"}}, "profile_invalid", "platform.user"),
    ({"hardware": {"cpus": True, "memory_mb": 1}}, "profile_invalid", "hardware.cpus"),
    ({"hardware": {"cpus": 1, "memory_mb": -1}}, "profile_invalid", "hardware.memory_mb"),
    ({"packages": {"numpy": "newest"}}, "profile_invalid", "packages.numpy"),
    ({"packages": {"a-b": "1", "a_b": "1"}}, "profile_invalid", "packages.a_b"),
    ({"packages": ["numpy"]}, "profile_invalid", "packages"),
    ({"packages": MANY}, "profile_too_large", "packages"),
    ({"licences": {"numpy": "x" * 301}}, "profile_invalid", "licences.numpy"),
    ({"licences": {"numpy": "a\nb"}}, "profile_invalid", "licences.numpy"),
    ({"files": [{"name": "a", "size": 1, "sha256": "A" * 64}]}, "profile_invalid", "files[0].sha256"),
    ({"files": [{"name": "a", "size": -1, "sha256": "a" * 64}]}, "profile_invalid", "files[0]"),
    ({"files": [{"name": "a"}] * 1001}, "profile_too_large", "files"),
    ({"secrets": {"PASSWORD": "hunter2"}}, "profile_invalid", "secrets.PASSWORD"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "field"), ODD, ids=lambda one: str(one)[:40])
def test_an_odd_profile_is_refused_by_its_place(change: Any, code: str, field: str, place: Place, api: Any) -> None:
    before = written(place)
    answer = api("otto").post(f"{V1}production/profiles/", a_profile(**change), format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert field in answer.json()["fields"]
    assert "hunter2" not in answer.content.decode()
    assert written(place) == before
    answer = api("otto").post(f"{V1}production/profiles/", [a_profile(**change)], format="json")
    assert (answer.status_code, written(place)) == (422, before)


def test_the_next_profile_is_compared_with_the_last(place: Place, api: Any) -> None:
    client: APIClient = api("otto")
    address = f"{V1}production/profiles/"
    first = client.post(address, a_profile(), format="json").json()
    assert (first["number"], first["changes"]) == (1, [])
    packages, secrets = {"numpy": "2.5.0", "scipy": "1.17.0"}, {"DATABASE_PASSWORD": False}
    second = client.post(address, a_profile(packages=packages, secrets=secrets), format="json").json()
    said = [(one["about"], one["name"], one["how"], one["before"], one["after"]) for one in second["changes"]]
    assert said == [
        ("packages", "numpy", "changed", "2.4.6", "2.5.0"),
        ("packages", "onnxruntime", "removed", "1.32.0", ""),
        ("packages", "scipy", "added", "", "1.17.0"),
        ("secrets", "DATABASE_PASSWORD", "changed", "there", "missing"),
    ]
    assert client.get(f"{address}2/").json() == second
    assert [one["number"] for one in client.get(address).json()["results"]] == [2, 1]
    assert client.get(f"{address}3/").status_code == 404
    data = orjson.loads(AuditEvent.objects.filter(action="profile.reported").latest("seq").body)["data"]
    assert data["set"] == {
        "packages": {"numpy": ["2.4.6", "2.5.0"], "onnxruntime": ["1.32.0", ""], "scipy": ["", "1.17.0"]}
    }
    assert data["moved"] == ["secrets DATABASE_PASSWORD changed"]
    page = client_page(place)
    assert "2.4.6" in page
    assert "removed, was 1.32.0" in page
    assert "mdlc capture --site http://127.0.0.1:8000 --environment production" in page


def client_page(place: Place) -> str:
    """Return the environment's page as Otto sees it."""
    return client_of(place.otto).get("/environments/production/").content.decode()


def test_a_key_reports_once_and_the_same_profile_is_another_look(place: Place, api: Any) -> None:
    client: APIClient = api("otto")
    address = f"{V1}production/profiles/"
    answers = [client.post(address, a_profile(), format="json", HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert EnvironmentProfile.objects.count() == 1
    again = client.post(address, a_profile(), format="json").json()
    assert (again["number"], again["changes"]) == (2, [])
    assert Environment.objects.get(slug="production").revision == 2  # nothing moved the second time


def test_the_policies_of_production_answer_on_the_first_day(place: Place, api: Any) -> None:
    policy = {
        "default": "allow",
        "rules": {"numpy": {"answer": "allow", "versions": "<2"}},
        "install": {"numpy": "1.26.4"},
    }
    Environment.objects.filter(slug="production").update(import_policy=policy)
    Environment.objects.filter(slug="workbench").update(import_policy={"default": "allow"})
    found = api("dana").post(f"{V1}workbench/profiles/", a_profile(), format="json").json()["verdicts"]
    assert found == [
        {
            "environment": "production", "library": "numpy", "version": "2.4.6", "answer": "prohibit",
            "reason": "Only <2 is let in.", "nearest": "1.26.4", "let_in_until": "", "asked_for": False,
        }
    ]  # fmt: skip


def test_a_profile_never_changes(place: Place) -> None:
    assert by_service(place.otto, "production", a_profile()) == 201
    for attack in (
        lambda: EnvironmentProfile.objects.update(captured_at=timezone.now()),
        lambda: EnvironmentProfile.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
            attack()
    assert EnvironmentProfile.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_command_reports_to_a_site_that_runs(store: Any, live_server: Any) -> None:
    place = building.a_place()
    rules = {"pytest": {"answer": "prohibit", "reason": "Not in production."}}
    Environment.objects.filter(slug="production").update(import_policy={"default": "allow", "rules": rules})
    Environment.objects.filter(slug="workbench").update(import_policy={"default": "allow"})
    made = Account.objects.create(username="robot", kind=Account.Kind.SERVICE, responsible=place.otto)
    for where in (place.source, place.target):
        building._grant(EnvironmentUserGrant, made, "it_operations", where)
    command = [sys.executable, "-m", "engine.capture", "--site", live_server.url, "--environment"]
    env = {**os.environ, "MDLC_TOKEN": AuthToken.objects.create(user=made)[1]}
    done = subprocess.run([*command, "workbench"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "Recorded as profile 1; 1 libraries need a look." in done.stdout
    assert "in production: Not in production." in done.stdout
    assert f"POST {live_server.url}/api/v1/environments/production/exceptions/ with library, version" in done.stdout
    profile = EnvironmentProfile.objects.get()
    assert profile.content["packages"] == capture()["packages"]
    assert profile.reported_by == made
    wrong = subprocess.run([*command, "nowhere"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert wrong.returncode == 2
    assert "There is no such environment." in wrong.stderr
    assert EnvironmentProfile.objects.count() == 1


# Probes: what an engine says of itself, as a worker reports it


def probed(place: Place, **more: Any) -> EnvironmentProfile | None:
    """Report what the engine of production says of itself."""
    return profiles.probed(actor=Worker("probe"), environment_id=place.target.pk, content=a_profile(**more))


def told() -> Any:
    """Return what the trail tells of the last profile."""
    return orjson.loads(AuditEvent.objects.filter(action="profile.reported").latest("pk").body)


def test_a_probe_records_what_moved_and_nothing_that_is_known(place: Place) -> None:
    Environment.objects.update(probe_error="It did not answer.")
    bench = Environment.objects.filter(slug="workbench").values().get()
    first = probed(place)
    assert first is not None
    assert (first.number, first.reported_by, first.environment) == (1, None, place.target)
    now = Environment.objects.get(slug="production")
    assert (now.probe_error, now.hardware, now.revision) == ("", "4 CPU, 16 GB, x86_64", 2)
    assert now.packages == {"numpy": "2.4.6", "onnxruntime": "1.32.0"}
    assert told()["chain"] == f"environment:{place.target.pk}"
    assert told()["data"] == {
        "number": 1,
        "digest": digest_of(first.content),
        "set": {
            "packages": {"numpy": ["", "2.4.6"], "onnxruntime": ["", "1.32.0"]},
            "hardware": ["", "4 CPU, 16 GB, x86_64"],
        },
    }
    before = written(place)
    assert probed(place) is None
    assert probed(place, files=[]) is None  # a probe looks at no files
    assert written(place) == before
    again = Environment.objects.get(slug="production")
    assert now.probed_at is not None
    assert again.probed_at is not None
    assert again.probed_at > now.probed_at
    assert Environment.objects.filter(slug="workbench").values().get() == bench


def test_a_probe_tells_what_moved_beside_what_the_environment_is_set_to(place: Place) -> None:
    probed(place)
    platform = {"system": "Linux", "release": "6.2", "machine": "x86_64"}
    second = probed(place, platform=platform, files=[], secrets={})
    assert second is not None
    assert (second.number, second.content["platform"]) == (2, platform)
    moves = ["platform release changed", "secrets DATABASE_PASSWORD removed"]
    assert told()["data"] == {"number": 2, "digest": second.digest, "moved": moves, "set": {}}
    assert Environment.objects.get(slug="production").revision == 2


def test_what_somebody_typed_over_is_set_right_by_the_next_probe(place: Place) -> None:
    probed(place)
    Environment.objects.filter(slug="production").update(python="2.7.18")
    second = probed(place)
    assert second is not None
    assert told()["data"] == {"number": 2, "digest": second.digest, "set": {"python": ["2.7.18", "3.11.7"]}}
    assert Environment.objects.get(slug="production").python == "3.11.7"


def test_the_first_probe_is_kept_even_where_all_was_typed_in_rightly(place: Place) -> None:
    rightly = {"packages": {"numpy": "2.4.6", "onnxruntime": "1.32.0"}, "hardware": "4 CPU, 16 GB, x86_64"}
    Environment.objects.filter(slug="production").update(**rightly)
    first = probed(place)
    assert first is not None
    assert (first.number, told()["data"]["set"]) == (1, {})
    assert Environment.objects.get(slug="production").revision == 1


def test_a_probe_that_cannot_be_read_changes_nothing(place: Place) -> None:
    before = written(place)
    with pytest.raises(Invalid):
        probed(place, profile=2)
    assert (written(place), Environment.objects.get(slug="production").probed_at) == (before, None)


def test_each_environment_has_profiles_of_its_own(place: Place) -> None:
    for content in (a_profile(), a_profile(hardware={"cpus": 8, "memory_mb": 16000})):
        assert by_service(place.otto, "production", content) == 201
    assert by_service(place.dana, "workbench", a_profile()) == 201
    made = EnvironmentProfile.objects.get(environment=place.source)
    assert (made.number, "moved" in told()["data"]) == (1, False)


def test_why_an_engine_was_not_asked_is_kept_for_its_page_alone(place: Place) -> None:
    before = written(place)
    profiles.not_probed(place.target.pk, "x" * 301)
    assert dict(Environment.objects.values_list("slug", "probe_error")) == {"production": "x" * 300, "workbench": ""}
    assert written(place) == before


def test_engines_are_asked_for_the_secrets_that_streams_of_their_environment_name(place: Place) -> None:
    told_of_it = {"slug": "annex", "name": "The annex", "kind": "test", "organisation": place.target.organisation}
    annex = Environment.objects.create(**told_of_it, owner=place.otto, python="3.11.7", engine="annex")
    table = {"transport": "sql", "location": {"url": "postgresql://db.example/scores", "table": "scores"}}
    for environment, slug, secret in (
        (place.target, "alerts", "B"), (place.target, "scores", "A"), (place.target, "plain", ""),
        (place.target, "old", "OLD"), (place.source, "bench", "BENCH"),
    ):  # fmt: skip
        descriptor = table | ({"secret": secret} if secret else {})
        Stream.objects.create(
            environment=environment, slug=slug, direction="sink", descriptor=descriptor, digest="a" * 64,
            owner=place.otto, retired_at=timezone.now() if slug == "old" else None,
        )  # fmt: skip
    assert profiles.to_probe() == [(annex, []), (place.target, ["B", "A"])]


PACKAGES = st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["1", "2", "2.1"]))


@given(before=PACKAGES, after=PACKAGES)
def test_what_moved_leads_from_one_profile_to_the_next(before: dict[str, str], after: dict[str, str]) -> None:
    packages = dict(before)
    for one in moved(a_profile(packages=before), a_profile(packages=after)):
        assert packages.pop(one.name, "") == one.before
        if one.after:
            packages[one.name] = one.after
    assert packages == after


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(place=st.sampled_from(sorted(a_profile())), value=JSON)
def test_whatever_is_sent_is_read_or_refused(place: str, value: Any) -> None:
    content = a_profile(**{place: value})
    try:
        profile = read(content, now=timezone.now())
    except Invalid as refusal:
        profile, blamed = None, refusal.fields
    if profile is None:
        assert blamed
    else:
        assert json.loads(json.dumps(profile.content)) == profile.content
        assert len(digest_of(profile.content)) == 64
