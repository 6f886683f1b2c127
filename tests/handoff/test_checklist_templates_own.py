"""Checklists of the site's own: published by administrators at every door, copied by policies, never changed."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, transaction
from django.urls import reverse

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff.models import ChecklistTemplateRevision, PolicyRevision
from handoff.queries.checklist_templates import all_templates, policy_in
from handoff.rules.checklist_templates import expanded, templates
from handoff.services import checklist_templates, policies
from tests.handoff import building
from tests.handoff.walking import client_of

pytestmark = pytest.mark.django_db
OURS = """template: lending-rules
title: Lending rules
about: What our lending board asks.
source: Lending handbook, chapter 7.
levels: {1: pilots, 2: all of it}
applies:
  - {what: The chapter applies, from: 2027-01-01}
items:
  - {key: appeal, question: "Can a customer appeal?", role: model_owner, evidence: [link], reference: "7.3"}
  - {key: audit, question: "Was it audited?", role: validator, reference: "7.4", level: 2}
"""
POLICY = """policy: lending
title: Lending
applies_to: {risk_tiers: [low], target_kinds: [production]}
tests: [integrity]
gates:
  review:
    checklist: {include: [{template: lending-rules, level: 1}]}
    signoffs: [{key: a, role: validator, meaning: review}]
  release: {signoffs: [{key: b, role: it_operations, meaning: approval}]}
"""


@pytest.fixture
def ada(db: None) -> Account:
    """Return an administrator of the site."""
    return Account.objects.create(username="ada", is_staff=True)


def by_service(who: Account, source: str, tmp_path: Path) -> str:
    """Publish by the service."""
    try:
        checklist_templates.publish(actor=Person(who, "test"), source=source)
    except Refused as refusal:
        return refusal.code
    return ""


def by_page(who: Account, source: str, tmp_path: Path) -> str:
    """Publish on the page."""
    answer = client_of(who).post(reverse("checklist-publish"), {"source": source})
    return "" if answer.status_code == 303 else f"{answer.status_code}"


def by_api(who: Account, source: str, tmp_path: Path) -> str:
    """Publish over the API."""
    answer = client_of(who).post("/api/v1/checklists/", {"source": source}, content_type="application/json")
    return "" if answer.status_code == 201 else str(answer.json()["code"])


def by_admin(who: Account, source: str, tmp_path: Path) -> str:
    """Publish in the admin."""
    answer = client_of(who).post(reverse("admin:handoff_checklisttemplaterevision_add"), {"source": source})
    went = answer.status_code == 302 and "login" not in answer.headers["Location"]
    return "" if went else f"{answer.status_code}"


def by_command(who: Account, source: str, tmp_path: Path) -> str:
    """Publish from the command line."""
    file = tmp_path / "checklist.yaml"
    file.write_text(source)
    try:
        call_command("checklist", "publish", str(file), "--by", who.username, stdout=StringIO())
    except CommandError as error:
        return str(error)
    return ""


Door = Callable[[Account, str, Path], str]
DOORS = pytest.mark.parametrize("door", [by_service, by_page, by_api, by_admin, by_command])


def kept() -> tuple[int, int]:
    return ChecklistTemplateRevision.objects.count(), AuditEvent.objects.count()


@DOORS
def test_an_administrator_publishes_it_and_the_trail_tells(door: Door, ada: Account, tmp_path: Path) -> None:
    assert door(ada, OURS, tmp_path) == ""
    assert door(ada, OURS.replace("Was it audited?", "Was it audited twice?"), tmp_path) == ""
    told = AuditEvent.objects.filter(action="checklist.published").order_by("seq")
    assert [event.told["data"]["revision"] for event in told] == [1, 2]
    found = all_templates()["lending-rules"]
    assert [item.question for item in found.items] == ["Can a customer appeal?", "Was it audited twice?"]
    assert set(all_templates()) == {*templates(), "lending-rules"}


@DOORS
@pytest.mark.parametrize("who", ["dana", "mallory"])
def test_nobody_else_publishes_one(door: Door, who: str, ada: Account, tmp_path: Path) -> None:
    account = building.person(who)
    before = kept()
    assert door(account, OURS, tmp_path) != ""
    assert kept() == before


@DOORS
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("lending-rules", "ml-test-score"), "checklist_built_in"),
        (("items:", "itmes:"), "checklist_invalid"),
        (("level: 2", "level: 3"), "checklist_invalid"),
        (("{1: pilots, 2: all of it}", "[one]"), "checklist_invalid"),
        ((', reference: "7.3"', ""), "checklist_invalid"),
        (("key: audit", "key: appeal"), "checklist_invalid"),
        (("role: validator", "role: emperor"), "checklist_invalid"),
        (("2027-01-01", "soon"), "checklist_invalid"),
        (("items:", "items: &a [*a]\nitem:"), "checklist_not_yaml"),
        (("title: Lending rules", "title: !!python/name:os.system"), "checklist_not_yaml"),
        (("template: lending-rules", "- a list\n- of"), "checklist_not_yaml"),
    ],
    ids=str,
)
def test_what_is_no_checklist_is_refused_at_every_door(
    door: Door, change: tuple[str, str], code: str, ada: Account, tmp_path: Path
) -> None:
    before = kept()
    found = door(ada, OURS.replace(*change), tmp_path)
    assert found != ""
    if door in (by_service, by_api):
        assert found == code
    assert kept() == before


def test_the_same_text_is_not_published_twice(ada: Account, tmp_path: Path) -> None:
    assert by_service(ada, OURS, tmp_path) == ""
    before = kept()
    assert by_service(ada, OURS, tmp_path) == "checklist_unchanged"
    assert kept() == before


def test_a_mistake_is_told_with_its_place_and_line(ada: Account) -> None:
    wrong = OURS.replace("role: validator", "role: validater")
    with pytest.raises(Refused) as refusal:
        checklist_templates.publish(actor=Person(ada, "test"), source=wrong)
    assert "did you mean validator" in refusal.value.fields["items[1].role"]
    assert "(line 10)" in refusal.value.fields["items[1].role"]


@pytest.mark.parametrize("change", [{"title": "x"}, {"source": "x"}, {"digest": "0" * 64}, {"number": 7}], ids=str)
def test_the_database_lets_nobody_change_or_delete_one(change: dict[str, Any], ada: Account, tmp_path: Path) -> None:
    by_service(ada, OURS, tmp_path)
    before = list(ChecklistTemplateRevision.objects.values())
    with pytest.raises(DatabaseError), transaction.atomic():
        ChecklistTemplateRevision.objects.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        ChecklistTemplateRevision.objects.all().delete()
    assert list(ChecklistTemplateRevision.objects.values()) == before


def test_a_policy_copies_what_it_includes_and_keeps_it(ada: Account, tmp_path: Path) -> None:
    actor = Person(ada, "test")
    before = kept()
    with pytest.raises(Refused) as refusal:
        policies.publish(actor=actor, source=POLICY)
    assert "must be one of the templates" in str(refusal.value.fields["gates.review.checklist.include[0]"])
    assert kept() == before
    by_service(ada, OURS, tmp_path)
    first = policies.publish(actor=actor, source=POLICY)
    (item,) = first.content["gates"]["review"]["checklist"]["items"]
    assert (item["question"], item["template"]) == ("Can a customer appeal?", "lending-rules")
    by_service(ada, OURS.replace("Can a customer appeal?", "May a customer appeal?"), tmp_path)
    first.refresh_from_db()
    assert first.content["gates"]["review"]["checklist"]["items"] == [item]
    second = policies.publish(actor=actor, source=POLICY)
    assert (second.number, PolicyRevision.objects.count()) == (2, 2)
    assert second.content["gates"]["review"]["checklist"]["items"][0]["question"] == "May a customer appeal?"
    assert policy_in(POLICY)[0] == second.content
    with pytest.raises(Refused, match="must be one of"):
        expanded({"gates": {"review": {"checklist": {"include": ["lending-rules"]}}}})


def test_it_is_read_on_its_page_over_the_api_and_validated_by_the_command(ada: Account, tmp_path: Path) -> None:
    by_service(ada, OURS, tmp_path)
    dana = client_of(building.person("dana"))
    page = dana.get(reverse("checklist-template", args=["lending-rules"])).content.decode()
    assert "Can a customer appeal?" in page
    assert "Published on this site" in page
    assert "this site's own" in dana.get(reverse("checklist-templates")).content.decode()
    assert "Publish a checklist" not in dana.get(reverse("checklist-templates")).content.decode()
    one = dana.get("/api/v1/checklists/lending-rules/").json()
    assert [item["level"] for item in one["items"]] == [1, 2]
    assert "lending-rules" in [row["template"] for row in dana.get("/api/v1/checklists/").json()]
    assert dana.get("/api/v1/checklists/none/").status_code == 404
    again = client_of(ada).get(reverse("checklist-publish"), {"from": "lending-rules"}).content.decode()
    assert "Lending handbook, chapter 7." in again
    file, out = tmp_path / "ours.yaml", StringIO()
    file.write_text(OURS)
    call_command("checklist", "validate", str(file), stdout=out)
    assert "the checklist lending-rules is one" in out.getvalue()


def test_revisions_are_counted_for_each_checklist_and_told(ada: Account) -> None:
    actor = Person(ada, "test")
    other = OURS.replace("lending-rules", "loan-rules")
    for number, (source, key) in enumerate(((OURS, "lending-rules"), (other, "loan-rules")), 1):
        revision = checklist_templates.publish(actor=actor, source=source)
        assert (revision.key, revision.number, revision.title, revision.published_by) == (
            key, 1, "Lending rules", ada,
        )  # fmt: skip
        told = AuditEvent.objects.filter(action="checklist.published").latest("pk")
        assert told.told["data"] == {"template": key, "revision": 1, "digest": revision.digest}
        assert (told.chain, ChecklistTemplateRevision.objects.count()) == ("site", number)
    second = checklist_templates.publish(actor=actor, source=OURS.replace("chapter 7", "chapter 8"))
    assert second.number == 2
    assert checklist_templates.publish(actor=actor, source=OURS).number == 3, "an earlier text may come back"
    with pytest.raises(Refused) as refusal:
        checklist_templates.publish(actor=actor, source=OURS)
    assert refusal.value.code == "checklist_unchanged"
    built_in = next(iter(templates()))
    with pytest.raises(Refused) as refusal:
        checklist_templates.publish(actor=actor, source=OURS.replace("lending-rules", built_in))
    assert (refusal.value.code, refusal.value.todo) == (
        "checklist_built_in", "Give yours another short name under 'template'.",
    )  # fmt: skip
