"""The registry's configuration and versions in the admin: every form is an act, with real transactions."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.actors import Person
from audit.models import Account, AuditEvent
from models_registry.access import roles_on
from models_registry.models import (
    Environment,
    EnvironmentUserGrant,
    ModelVersion,
    Organisation,
    RegisteredModel,
    RegisteredModelUserGrant,
)
from models_registry.roles import Role
from models_registry.services import versions
from models_registry.states import VersionState
from tests.handoff import building
from tests.handoff.building import Place
from tests.handoff.walking import client_of

BREAK_THE_LOG = """
    CREATE FUNCTION no_log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
    CREATE TRIGGER no_log BEFORE INSERT ON django_admin_log FOR EACH ROW EXECUTE FUNCTION no_log();
"""


@pytest.fixture
def site(transactional_db: None, store: Any) -> Place:
    """Return a place with ada, an administrator of the site without a role, and dana, who is staff too."""
    place = building.a_place()
    place.people["ada"] = Account.objects.create(username="ada", first_name="Ada", is_staff=True)
    place.dana.is_staff = True
    place.dana.save(update_fields=["is_staff"])
    return place


@pytest.fixture
def broken_log(site: Place) -> Iterator[None]:
    """Let the database refuse the admin's own log, which is written after the act."""
    with connection.cursor() as cursor:
        cursor.execute(BREAK_THE_LOG)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER no_log ON django_admin_log; DROP FUNCTION no_log();")


def url(model: Any, act: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{act}", args=args)


def an_environment(site: Place, **more: Any) -> dict[str, Any]:
    """Return a filled form."""
    return {
        "name": "Clinic B",
        "slug": "clinic-b",
        "kind": "production",
        "organisation": site.target.organisation_id,
        "owner": site.otto.pk,
        "purpose": "",
        "python": "3.11.7",
        "packages": "",
        "hardware": "",
        "import_policy": "",
        "engine": "",
        **more,
    }


def counts() -> tuple[int, ...]:
    """Return how much there is of everything that the admin may write."""
    tables = (Environment, Organisation, EnvironmentUserGrant, RegisteredModelUserGrant, AuditEvent, LogEntry)
    return tuple(table._default_manager.count() for table in tables)


def told(action: str) -> tuple[str, str, Any]:
    """Return who did something, by which door, and the data of it."""
    body = AuditEvent.objects.get(action=action).told
    return body["actor"]["label"], body["actor"]["via"], body["data"]


def test_an_environment_is_created_in_one_transaction_with_its_event(site: Place) -> None:
    answer = client_of(site.ada).post(url(Environment, "add"), an_environment(site))
    assert answer.status_code == 302
    made = Environment.objects.get(slug="clinic-b")
    assert (made.packages, made.import_policy, made.revision) == ({}, {}, 1)
    assert told("environment.created")[:2] == ("Ada", "admin")
    assert LogEntry.objects.get().object_id == str(made.pk)


@pytest.mark.usefixtures("broken_log")
def test_a_failure_after_the_act_leaves_nothing_half_done(site: Place) -> None:
    client = client_of(site.ada)
    client.raise_request_exception = False
    before = counts()
    assert client.post(url(Environment, "add"), an_environment(site)).status_code == 500
    assert client.post(url(Organisation, "add"), {"name": "Ward", "slug": "ward"}).status_code == 500
    change = an_environment(site, name="Renamed", slug="", seen=1)
    assert client.post(url(Environment, "change", site.target.pk), change).status_code == 500
    grant = {"thing": site.target.pk, "role": "it_operations", "holder": site.mallory.pk}
    assert client.post(url(EnvironmentUserGrant, "add"), grant).status_code == 500
    site.target.refresh_from_db()
    assert (site.target.name, site.target.revision, counts()) == ("Production", 1, before)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"slug": "production"}, "slug", "is in use"),
        ({"packages": '{"numpy": "newest"}'}, "packages", "packages.numpy is not a version"),
        ({"packages": "[1"}, "packages", "valid JSON"),
        ({"packages": "[1]"}, "packages", "is not a mapping"),
        ({"import_policy": "rules: {numpy: {answer: perhaps}}"}, "import_policy", "rules.numpy.answer is one of"),
        ({"import_policy": "rules: {numpy: {answr: allow}}"}, "import_policy", "did you mean answer"),
        ({"import_policy": "default: warn\ndefault: allow"}, "import_policy", "a key stands twice"),
        ({"import_policy": "default: &a warn\nrules: {x: {answer: *a}}"}, "import_policy", "aliases are not allowed"),
        ({"import_policy": "rules: {x: {answer: allow, reason: 2026-01-01}}"}, "import_policy", "not YAML that we"),
        ({"import_policy": "install: {numpy: 2.4}"}, "import_policy", "is a version such as"),
        ({"import_policy": "- numpy"}, "import_policy", "is a mapping"),
        ({"python": "\x00"}, "python", "Null characters"),
        ({"owner": "999999"}, "owner", "valid choice"),
        ({"name": "x" * 121}, "name", "at most 120"),
    ],
)
def test_a_refusal_stands_beside_its_field_and_keeps_what_was_typed(
    change: dict[str, Any], field: str, words: str, site: Place
) -> None:
    before = counts()
    answer = client_of(site.ada).post(url(Environment, "add"), an_environment(site, **change))
    assert answer.status_code == 200
    form = answer.context["adminform"].form
    assert words in " ".join(form.errors[field])
    assert form[field].value() is not None
    assert 'value="Clinic B"' in answer.content.decode() or field == "name"
    assert counts() == before


def test_only_what_changed_is_sent_and_what_is_fixed_stays(site: Place) -> None:
    client, page = client_of(site.ada), url(Environment, "change", site.target.pk)
    change = an_environment(site, name="Production", slug="other", kind="test", hardware="8 CPU", seen=1)
    assert client.post(page, change).status_code == 302
    site.target.refresh_from_db()
    assert (site.target.hardware, site.target.slug, site.target.kind) == ("8 CPU", "production", "production")
    assert told("environment.changed")[2] == {
        "before": {"hardware": "", "engine": "production"},
        "after": {"hardware": "8 CPU", "engine": ""},
    }
    events = AuditEvent.objects.count()
    assert client.post(page, {**change, "seen": 2}).status_code == 302  # nothing changed, so nothing happened
    assert AuditEvent.objects.count() == events


def test_an_import_policy_is_written_and_shown_as_yaml(site: Place) -> None:
    client, page = client_of(site.ada), url(Environment, "change", site.target.pk)
    text = "# ours\ndefault: prohibit\nrules:\n  numpy:\n  - {answer: allow, versions: '>=2,<3', reason: Fast.}\n"
    change = an_environment(site, name="Production", engine="production", import_policy=text, seen=1)
    assert client.post(page, change).status_code == 302
    site.target.refresh_from_db()
    rule = {"answer": "allow", "versions": ">=2,<3", "reason": "Fast."}
    assert site.target.import_policy == {"default": "prohibit", "rules": {"numpy": [rule]}}
    box = client.get(page).content.decode()
    assert "default: prohibit\nrules:\n  numpy:\n  - answer: allow" in box
    events = AuditEvent.objects.count()
    as_json = (
        '{"default": "prohibit", "rules": {"numpy": [{"answer": "allow", "versions": ">=2,<3", "reason": "Fast."}]}}'
    )
    assert client.post(page, {**change, "import_policy": as_json, "seen": 2}).status_code == 302
    assert AuditEvent.objects.count() == events  # laid out otherwise, it says the same
    shown = client_of(site.otto).get("/environments/production/").content.decode()
    assert "&gt;=2,&lt;3" in shown
    assert "Fast." in shown
    assert "prohibit" in shown


def test_a_form_that_is_older_than_the_environment_is_refused(site: Place) -> None:
    client, page = client_of(site.ada), url(Environment, "change", site.target.pk)
    assert 'name="seen" value="1"' in client.get(page).content.decode()
    client.post(page, an_environment(site, name="Production", hardware="8 CPU", seen=1))
    before = counts()
    answer = client.post(page, an_environment(site, name="Production", hardware="1 CPU", seen=1))
    assert "changed after you read it" in answer.content.decode()
    site.target.refresh_from_db()
    assert (site.target.hardware, counts()) == ("8 CPU", before)


def test_a_model_is_described_by_its_data_scientists_and_read_by_others(site: Place) -> None:
    building._grant(RegisteredModelUserGrant, site.ada, "risk_compliance", site.model)
    page = url(RegisteredModel, "change", site.model.pk)
    body = {"name": "Tumours", "purpose": "Screening", "owner_team": "Lab", "risk_tier": "high", "seen": 1}
    assert 'name="_save"' not in client_of(site.ada).get(page).content.decode()
    assert client_of(site.ada).post(page, body).status_code == 403
    assert client_of(site.dana).post(page, body).status_code == 302
    site.model.refresh_from_db()
    assert (site.model.purpose, site.model.risk_tier) == ("Screening", "high")
    assert told("model.changed")[:2] == ("Dana", "admin")


def test_the_tier_of_a_nominated_model_is_not_lowered_here_either(site: Place) -> None:
    building.a_version(site)
    page = url(RegisteredModel, "change", site.model.pk)
    body = {"name": "Tumours", "purpose": "Tests", "owner_team": "Lab", "risk_tier": "low", "seen": 1}
    before = counts()
    answer = client_of(site.dana).post(page, body)
    assert "is not lowered" in answer.content.decode()
    site.model.refresh_from_db()
    assert (site.model.risk_tier, counts()) == ("medium", before)


def test_nobody_grants_a_role_to_themselves_or_one_that_is_not_held_there(site: Place) -> None:
    client, before = client_of(site.ada), counts()
    own = {"thing": site.target.pk, "role": "it_operations", "holder": site.ada.pk}
    assert "to themselves" in client.post(url(EnvironmentUserGrant, "add"), own).content.decode()
    odd = {"thing": site.target.pk, "role": "validator", "holder": site.mallory.pk}
    assert client.post(url(EnvironmentUserGrant, "add"), odd).context["errors"]
    assert counts() == before


def test_a_role_is_taken_away_without_a_reason_and_once(site: Place) -> None:
    grant = EnvironmentUserGrant.objects.get(user=site.otto)
    client, lists = client_of(site.ada), url(EnvironmentUserGrant, "changelist")
    body = {"action": "take_away", "_selected_action": [str(grant.pk)]}
    ask = client.post(lists, body)
    assert 'name="reason"' not in ask.content.decode()
    assert EnvironmentUserGrant.objects.get(pk=grant.pk).ends_at is None
    assert client.post(lists, {**body, "confirmed": "yes"}).status_code == 302
    assert client.post(lists, {**body, "confirmed": "yes"}).status_code == 302
    assert EnvironmentUserGrant.history.get(pk=grant.pk).state_at(timezone.now()) == "ended"
    assert Role.IT_OPERATIONS not in roles_on(site.otto, environment=site.target)
    assert told("role.revoked") == ("Ada", "admin", {"role": "it_operations", "holder": "Otto"})


def acts_of(client: Client, version: ModelVersion) -> list[str]:
    """Return the acts that a version's page offers."""
    return [act.name for act in client.get(url(ModelVersion, "change", version.pk)).context["acts"]]


def test_a_draft_is_nominated_and_what_is_missing_is_named(site: Place, elements: dict[str, bytes]) -> None:
    dana = Person(site.dana, "test")
    files = {name: ([content], f"{name}.bin") for name, content in elements.items()}
    whole, _ = versions.draft_with(actor=dana, model="tumours", files=files)
    part = versions.draft(actor=dana, model="tumours")
    client = client_of(site.dana)
    assert acts_of(client, whole) == ["nominate", "discard"]
    body = {"action": "nominate", "_selected_action": [str(whole.pk), str(part.pk)], "confirmed": "yes"}
    answer = client.post(url(ModelVersion, "changelist"), body)
    words = " ".join(str(one) for one in client.get(answer["Location"]).context["messages"])
    assert "Tumours v1: done" in words
    assert "Tumours v2: The version is not complete" in words
    whole.refresh_from_db()
    part.refresh_from_db()
    assert (whole.state, part.state) == (VersionState.NOMINATED, VersionState.DRAFT)
    assert told("version.nominated")[:2] == ("Dana", "admin")
    assert acts_of(client, whole) == []


def test_others_of_the_model_read_a_draft_and_are_offered_nothing(site: Place) -> None:
    draft = versions.draft(actor=Person(site.dana, "test"), model="tumours")
    building._grant(RegisteredModelUserGrant, site.ada, "validator", site.model)
    client, before = client_of(site.ada), counts()
    assert acts_of(client, draft) == []
    body = {"action": "discard", "_selected_action": [str(draft.pk)], "confirmed": "yes", "reason": "Because."}
    client.post(url(ModelVersion, "changelist"), body)
    draft.refresh_from_db()
    assert (draft.state, counts()) == (VersionState.DRAFT, before)
