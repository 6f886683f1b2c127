"""What roles answer for: published, acknowledged, and who is accountable for which activity."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from models_registry.duties import current_duties, duties_for, matrix, rows_of
from models_registry.models import DutyAcknowledgement, DutyRevision, RaciEntry, RaciRevision, RegisteredModelUserGrant
from models_registry.roles import DUTIES, Role, digest_of_duty
from models_registry.rules import strict_yaml
from models_registry.rules.raci import ACTIVITIES, KINDS, USUAL, gap_of, read
from models_registry.services import duties
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import client_of

TABLES = (DutyRevision, DutyAcknowledgement, RaciRevision, RaciEntry, AuditEvent)
TEXT = "I check the model.\nI say what I found."
MATRIX = strict_yaml.text_of(USUAL)


@pytest.fixture
def ada(place: Place) -> Account:
    """Return an administrator of the site."""
    ada = building.person("ada")
    ada.is_staff = True
    ada.save(update_fields=["is_staff"])
    return ada


def api_of(account: Account) -> APIClient:
    """Return a client of the API."""
    return APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=account)[1]}"})


def counted() -> tuple[int, ...]:
    """Return how much there is of everything that these acts write."""
    return tuple(table.objects.count() for table in TABLES)


def refused(code: str, act: Callable[[], object]) -> Refused:
    """Expect a refusal by its code, and that nothing was written."""
    before = counted()
    with pytest.raises(Refused) as refusal:
        act()
    assert (refusal.value.code, counted()) == (code, before)
    return refusal.value


def seen(role: str) -> str:
    """Return the digest of what a role answers for now."""
    return current_duties()[Role(role)].digest


def acknowledge(who: Account, role: str = "validator") -> DutyAcknowledgement:
    """Acknowledge what is there now."""
    return duties.acknowledge(actor=Person(who, "test"), role=role, seen=seen(role))


def publish(ada: Account, text: str = TEXT, role: str = "validator") -> DutyRevision:
    """Publish a duty."""
    return duties.publish(actor=Person(ada, "test"), role=role, text=text, reason="It was vague.")


def view(reader: Account, role: str = "validator") -> Any:
    """Return one role's three columns."""
    return next(one for one in duties_for(reader) if one.role == role)


def test_a_duty_is_acknowledged_and_again_when_it_changes(place: Place, ada: Account) -> None:
    assert (view(place.vera).missing, view(place.vera).asked) == (("Vera",), True)
    acknowledge(place.vera)
    assert (view(place.vera).acknowledged, view(place.vera).asked) == (("Vera",), False)
    refused("duty_acknowledged", lambda: acknowledge(place.vera))
    made = publish(ada)
    assert (made.number, view(place.rita).missing, view(place.rita).asked) == (1, ("Vera",), False)
    acknowledge(place.vera)
    publish(ada, DUTIES[Role.VALIDATOR].text)  # back to the words that were acknowledged first
    assert view(place.vera).acknowledged == ("Vera",)
    told = AuditEvent.objects.filter(action__startswith="duty.").values_list("action", "actor_label")
    assert list(told.order_by("seq"))[:2] == [("duty.acknowledged", "Vera"), ("duty.published", "Ada")]


def test_only_a_holder_acknowledges_and_only_what_was_shown(place: Place, ada: Account) -> None:
    refused("not_found", lambda: acknowledge(place.mallory))
    refused("not_found", lambda: acknowledge(place.vera, "it_operations"))
    old = seen("validator")
    publish(ada)
    stale = {"actor": Person(place.vera, "test"), "role": "validator", "seen": old}
    refused("changed_since_shown", lambda: duties.acknowledge(**stale))
    building.ended(RegisteredModelUserGrant, user=place.vera)
    refused("not_found", lambda: acknowledge(place.vera))


def test_a_stranger_learns_no_names(place: Place) -> None:
    assert all((one.acknowledged, one.missing) == ((), ()) for one in duties_for(place.mallory))


def test_only_administrators_publish_and_only_what_is_new(place: Place, ada: Account) -> None:
    refused("administrator_required", lambda: publish(place.otto))
    refused("administrator_required", lambda: _raci(place.otto))
    refused("invalid", lambda: publish(ada, " \n "))
    refused("invalid", lambda: publish(ada, role="emperor"))
    refused("duty_unchanged", lambda: publish(ada, DUTIES[Role.VALIDATOR].text))


def yaml_of(rows: Any) -> str:
    """Return rows as YAML, without the anchors of rows that share a list."""
    return strict_yaml.text_of(json.loads(json.dumps(rows)))


def _raci(who: Account, source: str = MATRIX) -> RaciRevision:
    return duties.publish_raci(actor=Person(who, "test"), source=source, reason="As agreed.")


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "nobody is accountable": (lambda: [*USUAL[1:]], "rows"),
    "two are": (lambda: [*USUAL, USUAL[0]], "rows[13]"),
    "a list is": (lambda: [USUAL[0] | {"accountable": ["it_operations"]}, *USUAL[1:]], "rows[0].accountable"),
    "an unknown role": (lambda: [USUAL[0] | {"consulted": ["emperor"]}, *USUAL[1:]], "rows[0].consulted"),
    "an unknown activity": (lambda: [USUAL[0] | {"activity": "party"}, *USUAL[1:]], "rows[0].activity"),
    "an unknown key": (lambda: [USUAL[0] | {"blamed": ["validator"]}, *USUAL[1:]], "rows[0].blamed"),
    "one kind is left out": (lambda: [USUAL[0] | {"kinds": ["test"]}, *USUAL[1:]], "rows"),
    "no list": (lambda: {"rows": []}, "rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_exactly_one_is_accountable_for_each_activity(case: str, place: Place, ada: Account) -> None:
    content, where = BAD[case]
    found = refused("raci_invalid", lambda: _raci(ada, yaml_of(content())))
    assert where in found.fields


def test_a_matrix_may_differ_by_kind_of_environment(place: Place, ada: Account) -> None:
    release = next(row for row in USUAL if row["activity"] == "release")
    _raci(ada, yaml_of([*USUAL, release | {"kinds": ["test"], "accountable": "analytic_engineer"}]))
    found = matrix()
    assert (found.number, found.accountable["release", "test"]) == (1, "analytic_engineer")
    assert found.accountable["release", "production"] == "it_operations"
    assert [row.kinds for row in rows_of(found) if row.title == "Release it"] == [
        "creation, staging, production",
        "test",
    ]


def test_the_matrix_that_comes_along_matches_what_is_enforced() -> None:
    accountable = {(one.activity, one.kind): one.role for one in read(USUAL) if one.letter == "accountable"}
    assert accountable.keys() == {(activity, kind) for activity in ACTIVITIES for kind in KINDS}
    gaps = {activity for (activity, _), role in accountable.items() if gap_of(activity, role)}
    assert gaps == {"retire"}  # nothing in the product asks who decides it, and the page says so


def test_a_gap_is_shown_where_others_are_accountable_than_those_who_can(place: Place, ada: Account) -> None:
    rows = [row | {"accountable": "model_owner"} if row["activity"] == "roll_back" else row for row in USUAL]
    _raci(ada, yaml_of(rows))
    (gap,) = [one for one in view(ada, "model_owner").gaps if one.startswith("Roll it back")]
    assert "IT operations" in gap
    assert "Gap" in client_of(place.dana).get("/duties/").content.decode()


def test_the_database_keeps_two_accountables_half_matrices_and_later_changes_out(place: Place, ada: Account) -> None:
    made, acknowledged = _raci(ada), acknowledge(place.vera)
    two = {"revision": made, "activity": "offer", "kind": "test", "role": "validator", "letter": "accountable"}
    with pytest.raises(IntegrityError, match="raci_one_accountable"), transaction.atomic():
        RaciEntry.objects.create(**two)
    for row in (made, publish(ada), acknowledged, made.entries.all()[0]):
        with pytest.raises(DatabaseError, match="append_only"), transaction.atomic():
            type(row).objects.filter(pk=row.pk)._raw_delete("default")
    half = RaciRevision.objects.create(number=9, source="x", reason="x", published_by=ada)
    RaciEntry.objects.create(**two | {"revision": half})
    with pytest.raises(IntegrityError, match="raci_one_accountable"), transaction.atomic():
        RaciEntry.objects.create(**two | {"revision": half, "role": "it_operations"})
    with pytest.raises(IntegrityError, match="exactly one role"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    RaciEntry.objects.bulk_create(  # let the test end with a whole one
        RaciEntry(revision=half, activity=one.activity, kind=one.kind, role=one.role, letter=one.letter)
        for one in read(USUAL)
        if one.letter == "accountable" and (one.activity, one.kind) != ("offer", "test")
    )


def test_duties_go_through_the_page_the_api_and_the_admin(place: Place, ada: Account) -> None:
    vera, page = api_of(place.vera), client_of(place.vera)
    text = page.get("/duties/").content.decode()
    assert "I form my own opinion" in text
    assert page.post("/duties/validator/acknowledge/", {"seen": "old"}).status_code == 409
    assert page.post("/duties/validator/acknowledge/", {"seen": seen("validator")}).status_code == 302
    admin = client_of(ada)
    body = {"role": "validator", "text": TEXT, "reason": "Clearer."}
    assert admin.post("/admin/models_registry/dutyrevision/add/", body).status_code == 302
    assert "current text" in admin.post("/admin/models_registry/dutyrevision/add/", body).content.decode()
    (told,) = [one for one in vera.get("/api/v1/duties/").json() if one["role"] == "validator"]
    assert (told["number"], told["missing"], told["asked"], told["text"]) == (1, ["Vera"], True, TEXT)
    done = vera.post("/api/v1/duties/validator/acknowledgements/", {"seen": told["digest"]})
    assert (done.status_code, done.json()["number"]) == (201, 1)
    assert vera.post("/api/v1/duties/", body).json()["code"] == "administrator_required"
    changed = api_of(ada).post("/api/v1/duties/", body | {"text": "I check."})
    assert (changed.status_code, changed.json()["number"]) == (201, 2)
    raci = {"source": MATRIX, "reason": "As agreed."}
    assert admin.post("/admin/models_registry/racirevision/add/", raci).status_code == 302
    assert "accountable" in admin.get("/admin/models_registry/racirevision/add/").content.decode()
    assert api_of(ada).post("/api/v1/raci/", raci).json()["number"] == 2
    assert len(vera.get("/api/v1/raci/").json()["entries"]) == len(read(USUAL))


def test_a_policy_may_ask_that_duties_are_acknowledged(place: Place, ada: Account) -> None:
    site = walking.a_site(place)
    source = walking.settings.BASE_DIR / "handoff/policies/light.yaml"
    walking.policies.publish(actor=walking.by(site.ada), source=source.read_text() + "\nacknowledged_duties: true\n")
    handoff = walking.drafted(site)
    offer = {"actor": walking.by(site.dana), "handoff_id": str(handoff.pk)}
    refusal = refused("not_ready", lambda: walking.handoffs.offer(**offer))
    assert "Vera must acknowledge the duties" in refusal.fields["roles.validator"]
    for who, role in (
        ("vera", "validator"), ("otto", "it_operations"), ("edda", "analytic_engineer"), ("dana", "data_scientist"),
    ):  # fmt: skip
        acknowledge(site.people[who], role)
    assert walking.handoffs.offer(**offer).state == "in_review"


# What the acts keep, return and tell


def told(action: str) -> tuple[str, int, str, str, Any]:
    """Return the chain, the actor, the subject, the reason and the data of the newest act of its kind."""
    body = json.loads(AuditEvent.objects.filter(action=action).latest("seq").body)
    return body["chain"], body["actor"]["id"], body["subject"], body["reason"], body["data"]


def test_a_duty_is_kept_line_by_line_numbered_by_role_and_told(place: Place, ada: Account) -> None:
    publish(ada, "I run it.", "it_operations")
    publish(ada, "I run it well.", "it_operations")
    actor = Person(ada, "test")
    made = duties.publish(actor=actor, role="validator", text="\r\n I check. \r\n\n I tell.\t\n", reason=" Clearer.\n")
    assert (made.number, made.text, made.reason, made.published_by) == (1, "I check.\nI tell.", "Clearer.", ada)
    assert DutyRevision.objects.get(role="validator").digest == made.digest == digest_of_duty("validator", made.text)
    data = {"role": "validator", "number": 1, "digest": made.digest}
    assert told("duty.published") == ("site", ada.pk, f"dutyrevision:{made.pk}", "Clearer.", data)
    assert publish(ada, "I run it.", "it_operations").number == 3  # words of before are another revision
    assert current_duties()[Role.VALIDATOR].text == "I check.\nI tell."
    assert [one.number for one in DutyRevision.objects.filter(role="it_operations")] == [3, 2, 1]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"text": "\n".join(["I do."] * 30)}, ""),
        ({"text": "\n".join(["I do."] * 31)}, "text"),
        ({"text": "x" * 5000}, ""),
        ({"text": "  " + "x" * 5000 + "\n\n"}, ""),
        ({"text": "x" * 5001}, "text"),
        ({"text": ""}, "text"),
        ({"reason": "x" * 5000}, ""),
        ({"reason": "x" * 5001}, "reason"),
        ({"reason": " "}, "reason"),
        ({"role": "emperor"}, "role"),
    ],
    ids=lambda one: str(one)[:30],
)
def test_a_duty_says_what_and_why_in_so_many_words(
    place: Place, ada: Account, change: dict[str, str], field: str
) -> None:
    values = {"actor": Person(ada, "test"), "role": "validator", "text": TEXT, "reason": "It was vague.", **change}
    if field:
        assert list(refused("invalid", lambda: duties.publish(**values)).fields) == [field]
    else:
        assert duties.publish(**values).number == 1


def test_an_acknowledgement_names_the_text_that_was_shown(place: Place, ada: Account) -> None:
    publish(ada)
    for who in (place.vera, building.person("olga")):
        building._grant(RegisteredModelUserGrant, who, "validator", place.model)
        made = acknowledge(who)
        assert (made.person, made.role, made.number, made.digest) == (who, "validator", 1, seen("validator"))
        data = {"role": "validator", "number": 1, "digest": made.digest}
        assert told("duty.acknowledged") == ("site", who.pk, f"dutyacknowledgement:{made.pk}", "", data)
    hold_none = {"actor": Person(place.vera, "test"), "role": "emperor", "seen": seen("validator")}
    assert refused("not_found", lambda: duties.acknowledge(**hold_none)).message == "You hold no such role."


def test_a_matrix_is_kept_whole_numbered_and_told(place: Place, ada: Account) -> None:
    _raci(ada)
    made = duties.publish_raci(actor=Person(ada, "test"), source=MATRIX, reason=" As agreed.\n")
    assert (made.number, made.source, made.reason, made.published_by) == (2, MATRIX, "As agreed.", ada)
    assert told("raci.published") == ("site", ada.pk, f"racirevision:{made.pk}", "As agreed.", {"number": 2})
    found = matrix()
    assert (found.number, set(found.entries)) == (2, set(read(USUAL)))


def test_a_matrix_is_yaml_of_64_kilobytes_with_a_reason(place: Place, ada: Account) -> None:
    def given(source: str, reason: str = "As agreed.") -> RaciRevision:
        return duties.publish_raci(actor=Person(ada, "test"), source=source, reason=reason)

    longest = MATRIX + "#" * (64 * 1024 - len(MATRIX))
    assert refused("invalid", lambda: given(longest + "#")).fields == {"source": "is too long"}
    assert list(refused("raci_invalid", lambda: given("a: [1")).fields) == ["source"]
    assert list(refused("invalid", lambda: given(MATRIX, " ")).fields) == ["reason"]
    assert given(longest).number == 1
