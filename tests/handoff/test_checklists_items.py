"""Checklist items in a handoff, through each door: conditions, two people, figures, facts, and evidence that ages."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Worker
from audit.models import AuditEvent
from handoff import tasks
from handoff.errors import Invalid, Refused, WrongState
from handoff.facts import known_of, rules_of
from handoff.models import Answer, Damage, Evidence, Finding, Handoff, PolicyRevision, SignOff
from handoff.rules import checklist_templates
from handoff.rules.automatic import KNOWN, Situation
from handoff.rules.gates import evaluate
from handoff.services import checklists, evidence, policies
from models_registry.duties import current_duties
from models_registry.roles import Role
from models_registry.services import duties
from models_registry.store import path_of
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by

ITEMS: list[dict[str, Any]] = [
    {"key": "people", "question": "Does it affect people?", "role": "data_scientist"},
    {"key": "fairness", "question": "Were groups compared?", "role": "data_scientist", "visible_if": {"people": "yes"}},
    {"key": "auc", "question": "Which AUC?", "role": "data_scientist", "evidence": ["figure"], "figure": ">= 0.8"},
    {"key": "challenge", "question": "Was it challenged?", "role": "risk_compliance", "two_people": True},
    {
        "key": "drill",
        "question": "Was it rehearsed?",
        "role": "analytic_engineer",
        "evidence": ["file"],
        "valid_days": 30,
    },
    {"key": "summary", "question": "Is it summed up?", "role": "data_scientist", "evidence": ["item"]},
    {"key": "same", "question": "Does nothing drift?", "fact": "drift.none"},
]
FILE = SimpleUploadedFile("drill.txt", b"We went back in four minutes.")


@pytest.fixture
def site(db: None, store: Path) -> Place:
    """Return a place whose people have passwords, under a policy with items of all kinds."""
    place = walking.a_site()
    place.people["rolf"] = building.person("rolf")
    building._grant(building.RegisteredModelUserGrant, place.rolf, "risk_compliance", place.model)
    publish(place, {"items": ITEMS})
    return place


def publish(place: Place, checklist: Any, **more: Any) -> PolicyRevision:
    """Publish the light policy with another checklist at its review gate."""
    source = yaml.safe_load(Path("handoff/policies/light.yaml").read_text()) | more
    source["gates"]["review"]["checklist"] = checklist
    return policies.publish(actor=by(place.ada), source=yaml.safe_dump(source))


def answer(place: Place, handoff: Handoff, item: str, who: str = "dana", choice: str = "yes", **more: Any) -> Answer:
    return checklists.answer(actor=by(place.people[who]), handoff_id=str(handoff.pk), item=item, choice=choice, **more)


def why(handoff: Handoff, item: str, gate: str = "review") -> str | None:
    """Return why an item is not met; None where it is not asked."""
    found = evaluate(gate, rules_of(handoff), known_of(handoff).facts).requirements
    return next((one.why for one in found if one.key == item), None)


def by_api(place: Place, who: str, handoff: Handoff, item: str, **body: Any) -> tuple[int, str]:
    api = APIClient()
    api.force_authenticate(place.people[who])
    got = api.post(f"/api/v1/handoffs/{handoff.pk}/answers/", {"item": item, **body}, format="json")
    return got.status_code, got.json().get("code", "")


def by_page(place: Place, who: str, handoff: Handoff, item: str, **body: Any) -> tuple[int, str]:
    rows = body.pop("evidence", [])
    typed = body | {row["kind"]: row.get(row["kind"]) for row in rows}
    got = walking.client_of(place.people[who]).post(f"/handoffs/{handoff.pk}/answers/{item}/", typed)
    code = got.content.decode().partition('data-code="')[2].partition('"')[0]
    return got.status_code, code


DOORS = pytest.mark.parametrize("door", [by_api, by_page])


@DOORS
def test_an_item_is_asked_only_when_an_earlier_answer_says_so(site: Place, door: Any) -> None:
    handoff = walking.offered(site)
    assert why(handoff, "fairness") is None
    assert door(site, "dana", handoff, "fairness", choice="yes") == (409, "item_not_asked")
    assert not Answer.objects.exists()
    assert door(site, "dana", handoff, "people", choice="yes")[0] in (201, 303)
    assert why(handoff, "fairness") == "Data scientist has not answered"
    assert door(site, "dana", handoff, "fairness", choice="yes")[0] in (201, 303)
    answer(site, handoff, "people", choice="no", reason="It sorts screws.")
    assert why(handoff, "fairness") is None  # and its earlier answer stays, and does not count
    page = walking.client_of(site.dana).get(f"/handoffs/{handoff.pk}/").content.decode()
    assert 'id="item-fairness"' not in page
    assert 'id="item-people"' in page


@DOORS
def test_a_figure_must_meet_its_rule(site: Place, door: Any) -> None:
    handoff = walking.offered(site)
    low = [{"kind": "figure", "figure": 0.79}]
    assert door(site, "dana", handoff, "auc", choice="yes", evidence=low) == (422, "figure_outside_rule")
    assert not Answer.objects.exists()
    high = [{"kind": "figure", "figure": 0.8}]
    assert door(site, "dana", handoff, "auc", choice="yes", evidence=high)[0] in (201, 303)
    assert why(handoff, "auc") == ""


@DOORS
def test_two_distinct_people_answer_alike_and_both_are_shown(site: Place, door: Any) -> None:
    handoff = walking.offered(site)
    door(site, "rita", handoff, "challenge", choice="yes")
    door(site, "rita", handoff, "challenge", choice="yes")
    assert why(handoff, "challenge") == "a second person must answer alike"
    door(site, "rolf", handoff, "challenge", choice="no", reason="Not by us.")
    assert why(handoff, "challenge") == "the answers differ: another says yes"
    door(site, "rolf", handoff, "challenge", choice="yes")
    assert why(handoff, "challenge") == ""
    page = walking.client_of(site.dana).get(f"/handoffs/{handoff.pk}/").content.decode()
    assert "<li>Rita: yes</li>" in page
    assert "<li>Rolf: yes</li>" in page


def test_a_service_account_is_no_second_person(site: Place) -> None:
    robot = building.person("robot")
    type(robot).objects.filter(pk=robot.pk).update(kind="service", responsible=site.rita)
    building._grant(building.RegisteredModelUserGrant, robot, "risk_compliance", site.model)
    robot.refresh_from_db()
    site.people["robot"] = robot
    handoff = walking.offered(site)
    answer(site, handoff, "challenge", "rita")
    answer(site, handoff, "challenge", "robot")
    assert why(handoff, "challenge") == "a second person must answer alike"


@DOORS
def test_nobody_answers_what_is_computed(site: Place, door: Any) -> None:
    handoff = walking.offered(site)
    assert door(site, "dana", handoff, "same", choice="yes") == (409, "item_computed")
    assert why(handoff, "same") == ""
    assert not Answer.objects.exists()


@DOORS
def test_another_answer_is_evidence_as_long_as_it_is_the_latest(site: Place, door: Any) -> None:
    handoff = walking.offered(site)
    other = [{"kind": "item", "item": "people"}]
    assert door(site, "dana", handoff, "summary", choice="yes", evidence=other)[0] == 422
    answer(site, handoff, "people")
    assert door(site, "dana", handoff, "summary", choice="yes", evidence=other)[0] in (201, 303)
    assert why(handoff, "summary") == ""
    answer(site, handoff, "people")
    assert why(handoff, "summary") == "needs evidence: item"


def test_a_passed_test_is_evidence_at_the_release(site: Place) -> None:
    tried = {"key": "tried", "question": "Was it tried?", "role": "it_operations", "evidence": ["test"]}
    publish(site, [], gates=_gates_with(tried))
    handoff = walking.under_test(site)
    building.tested(handoff)
    with pytest.raises(Invalid):
        answer(site, handoff, "tried", "otto", evidence=[{"kind": "test", "test": "astrology"}])
    answer(site, handoff, "tried", "otto", evidence=[{"kind": "test", "test": "golden"}])
    assert why(handoff, "tried", "release") == ""


def _gates_with(item: dict[str, Any]) -> dict[str, Any]:
    gates = yaml.safe_load(Path("handoff/policies/light.yaml").read_text())["gates"]
    gates["release"]["checklist"] = [item]
    return dict(gates)


def test_once_the_gate_has_opened_nobody_answers_through_any_door(site: Place) -> None:
    publish(site, [ITEMS[0]])
    handoff = walking.under_test(site)
    before = Answer.objects.count()
    assert by_api(site, "dana", handoff, "people", choice="no", reason="Oh.")[0] == 409
    assert by_page(site, "dana", handoff, "people", choice="no", reason="Oh.")[0] == 409
    assert Answer.objects.count() == before


def drilled(place: Place, handoff: Handoff) -> Answer:
    """Answer with a file that is good for thirty days."""
    FILE.seek(0)
    got = walking.client_of(place.edda).post(f"/handoffs/{handoff.pk}/answers/drill/", {"choice": "yes", "file": FILE})
    assert got.status_code == 303
    return Answer.objects.get(item="drill")


def aged(given: Answer, days: int) -> None:
    """Let an answer have been given days ago; only a test may, with the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE handoff_answer SET answered_at = answered_at - make_interval(days => %s) WHERE id = %s",
            [days, given.pk],
        )
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_an_answer_that_is_too_old_reopens_its_item(site: Place) -> None:
    handoff = walking.offered(site)
    given = drilled(site, handoff)
    aged(given, 29)
    assert why(handoff, "drill") == ""
    aged(given, 2)
    assert why(handoff, "drill") == "the answer is older than 30 days"
    tasks.watch_evidence()
    assert not Finding.objects.exists()  # before it is live, it is only asked again


def live(handoff: Handoff) -> Handoff:
    for state in ("testing", "ready", "deploying", "confirming", "live"):
        Handoff.objects.filter(pk=handoff.pk).update(state=state)
    handoff.refresh_from_db()
    return handoff


def test_on_a_live_model_evidence_that_is_too_old_is_a_finding_that_suspends(site: Place) -> None:
    handoff = walking.offered(site)
    aged(drilled(site, handoff), 31)
    live(handoff)
    tasks.watch_evidence()
    tasks.watch_evidence()
    finding = Finding.objects.get()
    assert (finding.kind, finding.suspends, finding.owner) == ("evidence", True, site.edda)
    assert "older than 30 days" in str(finding)
    assert AuditEvent.objects.filter(action="handoff.suspended").count() == 1
    path = f"/handoffs/{handoff.pk}/findings/{finding.pk}/close/"
    assert walking.client_of(site.edda).post(path, {"link": "https://x.example/drill"}).status_code == 303
    tasks.watch_evidence()
    assert not Finding.objects.filter(closed_at=None).exists()


def test_where_the_policy_only_reports_old_evidence_suspends_nothing(site: Place) -> None:
    publish(site, ITEMS, drift="report")
    handoff = walking.offered(site)
    aged(drilled(site, handoff), 31)
    live(handoff)
    tasks.watch_evidence()
    assert not Finding.objects.get().suspends


def test_damaged_evidence_is_found_reopens_its_item_and_is_mended(site: Place) -> None:
    handoff = walking.offered(site)
    given = drilled(site, handoff)
    tasks.rehash_evidence()
    assert not Damage.objects.exists()
    stored = Path(default_storage.path(path_of(str(given.evidence.get().blob_id))))
    whole = stored.read_bytes()
    stored.chmod(0o644)
    stored.write_bytes(b"We never tried.")
    tasks.rehash_evidence()
    tasks.rehash_evidence()
    finding = Finding.objects.get()
    assert (finding.severity, finding.kind, finding.suspends) == ("high", "evidence", False)
    assert why(handoff, "drill") == "the stored bytes of its evidence are damaged: drill.txt"
    stored.write_bytes(whole)
    tasks.rehash_evidence()
    finding.refresh_from_db()
    assert finding.closing == "resolved"
    assert why(handoff, "drill") == ""
    stored.unlink()
    tasks.rehash_evidence()
    assert Finding.objects.filter(closed_at=None).count() == 1
    answer(site, handoff, "drill", "edda", "no", reason="The file is lost.")
    tasks.watch_evidence()
    assert not Finding.objects.filter(closed_at=None).exists()


def test_a_damage_is_not_denied(site: Place) -> None:
    given = drilled(site, walking.offered(site))
    damage = Damage.objects.create(blob=given.evidence.get().blob)
    for attack in ({"found_at": timezone.now() + timedelta(days=1)}, {"blob": None}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Damage.objects.filter(pk=damage.pk).update(**attack)
    with pytest.raises(DatabaseError), transaction.atomic():
        damage.delete()


def signed(site: Place) -> Handoff:
    """Return a handoff whose one answer is covered by a signature."""
    publish(site, [ITEMS[4]])
    handoff = walking.offered(site)
    drilled(site, handoff)
    checklists.acknowledge(
        actor=by(site.otto), handoff_id=str(handoff.pk), differences=(handoff.report or {})["undeclared"]
    )
    walking.sign(handoff, site.vera, "validation")
    return handoff


def test_evidence_is_not_edited_after_signing_and_a_new_answer_voids_the_signature(site: Place) -> None:
    handoff = signed(site)
    for attack in ({"label": "Another."}, {"kind": "link", "link": "https://x.example", "blob": None}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Evidence.objects.update(**attack)
    assert SignOff.objects.get().voided_at is None
    drilled_again = answer(site, handoff, "drill", "edda", "no", reason="It was last year.")
    assert drilled_again.pk
    assert "checklist answers" in SignOff.objects.get().voided_because


@DOORS
def test_another_answer_voids_the_signature_at_every_door(door: Callable[..., tuple[int, str]], site: Place) -> None:
    handoff = signed(site)
    assert door(site, "edda", handoff, "drill", choice="no", reason="It was last year.")[0] < 400
    assert "checklist answers" in SignOff.objects.get().voided_because


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("drill.exe", b"MZ", 422, "file_type_refused"),
        ("drill", b"text", 422, "file_type_refused"),
        ("drill.html", b"<script>", 422, "file_type_refused"),
        ("drill.pdf", b"MZ", 422, "file_type_refused"),
        ("drill.txt", b"x" * 101, 413, "file_too_large"),
    ],
)
def test_files_that_are_no_evidence_are_not_kept(
    site: Place, settings: Any, name: str, content: bytes, status: int, code: str
) -> None:
    settings.EVIDENCE_LIMIT = 100
    handoff = walking.offered(site)
    before = len(evidence.stored())
    api = APIClient()
    api.force_authenticate(site.edda)
    file = SimpleUploadedFile(name, content)
    got = api.post(f"/api/v1/handoffs/{handoff.pk}/evidence/", {"file": file}, format="multipart")
    assert (got.status_code, got.json()["code"]) == (status, code)
    file.seek(0)
    page = walking.client_of(site.edda).post(f"/handoffs/{handoff.pk}/answers/drill/", {"choice": "yes", "file": file})
    assert page.status_code == status
    assert len(evidence.stored()) == before


def test_a_template_that_changes_changes_no_policy_that_was_published(site: Place, monkeypatch: Any) -> None:
    revision = publish(site, {"include": ["handoff-readiness"], "items": [ITEMS[0]]})
    handoff = walking.offered(site)
    before = [item.key for item in rules_of(handoff).gate("review").checklist]
    assert len(before) == 7
    old = checklist_templates.templates()["handoff-readiness"]
    source = (checklist_templates.FOLDER / "handoff-readiness.yaml").read_text()
    changed = checklist_templates.read_template(source.replace("hr-load", "hr-speed"))
    monkeypatch.setattr("handoff.queries.checklist_templates.templates", lambda: {"handoff-readiness": changed})
    handoff.refresh_from_db()
    assert [item.key for item in rules_of(handoff).gate("review").checklist] == before
    assert revision.content["gates"]["review"]["checklist"]["included"][0]["digest"] == old.digest
    again = publish(site, {"include": ["handoff-readiness"], "items": [ITEMS[0]]})  # the same words say another thing
    assert again.number == revision.number + 1
    assert again.digest != revision.digest
    with pytest.raises(WrongState):
        publish(site, {"include": ["handoff-readiness"], "items": [ITEMS[0]]})


def test_a_worker_that_looks_at_nothing_does_nothing(site: Place) -> None:
    assert evidence.look(actor=Worker("evidence"), handoff_id=walking.drafted(site).pk) == []


def test_an_item_knows_whether_the_owner_of_record_has_acknowledged_their_duties(site: Place) -> None:
    handoff = walking.offered(site)
    fact = KNOWN["owner.acknowledged"]

    def why() -> str:
        facts = known_of(handoff).facts
        return fact.why(Situation(owner=facts.owner, owner_duties=facts.owner_duties))

    assert "has not acknowledged the duties of it operations" in why()
    duties.acknowledge(actor=by(site.otto), role="it_operations", seen=current_duties()[Role.IT_OPERATIONS].digest)
    assert why() == ""
    duties.publish(actor=by(site.ada), role="it_operations", text="I run it, day and night.", reason="Clearer.")
    assert "has not acknowledged" in why()


def refused(act: Any, **told: Any) -> tuple[str, str, str, dict[str, Any]]:
    """Return the code, the words, what to do and the fields of a refusal."""
    with pytest.raises(Refused) as refusal:
        act(**told)
    one = refusal.value
    return one.code, one.message, one.todo, one.fields


def test_an_answer_is_returned_and_told_with_each_piece_of_evidence(site: Place) -> None:
    handoff, other = walking.offered(site), walking.offered(site, building.a_version(site, 2))
    answer(site, other, "people", choice="no", reason="It sorts screws.")
    answer(site, handoff, "people")
    theirs = answer(site, other, "people")
    sent = walking.client_of(site.dana).post(
        f"/api/v1/handoffs/{handoff.pk}/evidence/", {"file": SimpleUploadedFile("card.txt", b"It sorts screws.")}
    )
    told = sent.json()
    link = "https://wiki.example.org/" + "x" * 200
    evidence = [
        {"kind": "item", "item": "people"},
        {"kind": "item", "item": "people", "label": " The people "},
        {"kind": "file", "receipt": told["receipt"]},
        {"kind": "file", "receipt": told["receipt"], "label": "Card"},
        {"kind": "link", "link": link},
        {"kind": "link", "link": "https://a.example", "label": "y" * 201},
        {"kind": "figure", "figure": -1e300},
        {"kind": "figure", "figure": 7, "label": "a second"},
    ]
    given = answer(site, handoff, "summary", reason=" As it is. ", evidence=evidence)
    assert (given.item, given.choice, given.reason, given.answered_by) == ("summary", "yes", "As it is.", site.dana)
    rows = list(given.evidence.order_by("pk"))
    assert [one.label for one in rows] == [
        "The answer to people", "The people", "card.txt", "Card", link[:200], "y" * 200, "figure", "a second",
    ]  # fmt: skip
    assert {one.other for one in rows if one.kind == "item"} == {Answer.objects.get(handoff=handoff, item="people")}
    assert theirs not in {one.other for one in rows}
    data = AuditEvent.objects.filter(action="answer.given").latest("pk").told["data"]
    assert (data["gate"], data["item"], data["choice"]) == ("review", "summary", "yes")
    bare = {"sha256": "", "link": "", "figure": None}
    assert data["evidence"] == [
        {"kind": "item", "label": "The answer to people", "item": "people", **bare},
        {"kind": "item", "label": "The people", "item": "people", **bare},
        {"kind": "file", "label": "card.txt", **bare, "sha256": told["sha256"]},
        {"kind": "file", "label": "Card", **bare, "sha256": told["sha256"]},
        {"kind": "link", "label": link[:200], **bare, "link": link},
        {"kind": "link", "label": "y" * 200, **bare, "link": "https://a.example"},
        {"kind": "figure", "label": "figure", **bare, "figure": -1e300},
        {"kind": "figure", "label": "a second", **bare, "figure": 7.0},
    ]


def test_what_is_odd_in_an_answer_is_named_by_its_field(site: Place) -> None:
    handoff = walking.offered(site)
    not_finite = ("invalid", "A figure is a finite number.", "", {"evidence[1].figure": "is not a finite number"})
    good = {"kind": "figure", "figure": 0.9}
    kinds = "must be file, link, figure, replay, test or item"
    for item, more, expected in (
        ("nothing", {}, ("invalid", "The gate under way has no such item.", "",
                         {"item": "nothing is not an item of the review gate"})),
        ("people", {"choice": "maybe"}, ("invalid", "Answer yes, no or not_applicable.", "",
                                         {"choice": "must be yes, no or not_applicable"})),
        ("people", {"choice": "no", "reason": " "}, ("invalid", "An answer other than yes needs a reason.", "",
                                                     {"reason": "is empty"})),
        ("people", {"choice": "not_applicable"}, ("invalid", "An answer other than yes needs a reason.", "",
                                                  {"reason": "is empty"})),
        ("auc", {}, ("evidence_missing", "A yes needs evidence: figure.", "", {"evidence": "add a figure"})),
        ("auc", {"evidence": [{"kind": "figure", "figure": 0.7}]},
         ("figure_outside_rule", "A yes needs a figure that is >= 0.8.",
          "Answer no with the reason, or ask for a waiver.", {"figure": "must be >= 0.8"})),
        ("fairness", {}, ("item_not_asked", "'Were groups compared?' is not asked, by the answers so far.",
                          "It depends on the answers to people.", {})),
        ("same", {}, ("item_computed", "Nobody answers 'Does nothing drift?': it is computed.",
                      "Its page says what is missing; see to that.", {})),
        ("auc", {"evidence": [{"kind": "rumour"}]}, ("invalid", f"Evidence {kinds}.", "",
                                                      {"evidence[0].kind": kinds})),
        ("summary", {"evidence": [{"kind": "item", "item": "people"}]},
         ("invalid", "Only a yes that counts proves something.", "",
          {"evidence[0].item": "must be an item answered yes"})),
        ("auc", {"evidence": [{"kind": "test", "test": "golden"}]},
         ("invalid", "No such test of this version has passed.", "",
          {"evidence[0].test": "must be a test that passed"})),
        *(("auc", {"evidence": [good, {"kind": "figure", "figure": odd}]}, not_finite)
          for odd in (True, "0.9", None, float("nan"), float("inf"), 1.1e300, -1.1e300)),
    ):  # fmt: skip
        told = {"actor": by(site.dana), "handoff_id": str(handoff.pk), "item": item, "choice": "yes", **more}
        assert refused(checklists.answer, **told) == expected
    assert not Answer.objects.exists()
    assert answer(site, handoff, "people", choice="no", reason="It sorts screws.").choice == "no"
    told = {"actor": by(site.dana), "handoff_id": str(handoff.pk), "item": "summary", "choice": "yes"}
    no = refused(checklists.answer, evidence=[{"kind": "item", "item": "people"}], **told)
    assert no[1] == "Only a yes that counts proves something."
    mixed = answer(site, handoff, "auc", evidence=[{"kind": "figure", "figure": 0.1}, good])
    assert mixed.evidence.count() == 2, "one that meets the rule is enough"


def test_a_test_of_this_handoff_that_passed_is_evidence_and_no_other(site: Place) -> None:
    tried = {"key": "tried", "question": "Was it tried?", "role": "it_operations", "evidence": ["test"]}
    publish(site, [], gates=_gates_with(tried))
    building.tested(walking.under_test(site))
    handoff = walking.answered(site, walking.offered(site, building.a_version(site, 2)))
    walking.sign(handoff, site.vera, "validation")
    walking.sign(handoff, site.otto, "acceptance")
    told = {"actor": by(site.otto), "handoff_id": str(handoff.pk), "item": "tried", "choice": "yes"}
    assert refused(checklists.answer, **told)[1] == "A handoff that is testing takes no answers."
    building.tested(handoff)
    given = checklists.answer(evidence=[{"kind": "test", "test": "golden"}], **told)
    row = given.evidence.get()
    assert (row.test, row.label) == (handoff.tests.get(kind="golden"), "golden: It went well.")
    data = AuditEvent.objects.filter(action="answer.given").latest("pk").told["data"]
    assert data["evidence"][0]["test"] == "golden"
    labelled = checklists.answer(evidence=[{"kind": "test", "test": "golden", "label": "Gold"}], **told)
    assert labelled.evidence.get().label == "Gold"


def test_differences_are_acknowledged_once_by_who_must_and_only_those_of_the_report(site: Place) -> None:
    handoff = walking.offered(site)
    keys = list((handoff.report or {})["undeclared"])
    told = {"actor": by(site.otto), "handoff_id": str(handoff.pk)}
    for more, fields in (
        ({"differences": []}, {"differences": "is empty"}),
        ({"differences": [*keys, "tools.nothing", "packages.odd"]}, {"differences": "tools.nothing, packages.odd"}),
    ):
        found = refused(checklists.acknowledge, **told, **more)
        assert (found[0], found[1], found[3]) == ("invalid", "Name differences of the report.", fields)
    mine = {"differences": keys, **told, "actor": by(site.dana)}
    assert refused(checklists.acknowledge, **mine)[0] == "role_not_held"
    rows = checklists.acknowledge(differences=keys * 2, comment=" Seen. ", mitigation=" More memory. ", **told)
    assert [(one.difference, one.comment, one.mitigation, one.acknowledged_by) for one in rows] == [
        (key, "Seen.", "More memory.", site.otto) for key in keys
    ]
    event = AuditEvent.objects.get(action="difference.acknowledged").told
    assert (event["data"], event["reason"].strip()) == (
        {"differences": keys * 2, "mitigation": " More memory. "}, "Seen.",
    )  # fmt: skip
    again = refused(checklists.acknowledge, differences=keys, **told)
    assert again[:2] == ("acknowledged_already", "One of these is acknowledged already.")
    Handoff.objects.filter(pk=handoff.pk).update(state="withdrawn")
    over = refused(checklists.acknowledge, differences=keys, **told)
    assert over[:2] == ("wrong_state", "A handoff that is withdrawn takes no acknowledgements.")


def test_a_look_at_one_handoff_leaves_the_old_evidence_of_another(site: Place) -> None:
    found = []
    for number in (1, 2):
        handoff = walking.offered(site, building.a_version(site, number))
        FILE.seek(0)
        walking.client_of(site.edda).post(f"/handoffs/{handoff.pk}/answers/drill/", {"choice": "yes", "file": FILE})
        aged(handoff.answers.get(item="drill"), 31)
        found.append(live(handoff))
    assert [one.pk for one in evidence.watched()] == sorted(one.pk for one in found)
    (finding,) = evidence.look(actor=Worker("evidence"), handoff_id=found[0].pk)
    assert (finding.handoff, finding.severity, finding.owner) == (found[0], "medium", site.edda)
    assert str(finding) == "Was it rehearsed? The answer is older than 30 days"
    assert finding.subject == f"answer:{found[0].answers.get(item='drill').pk}"
    assert Finding.objects.count() == 1
    assert evidence.look(actor=Worker("evidence"), handoff_id=found[0].pk) == []
