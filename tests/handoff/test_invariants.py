"""Invariants: each holds where everything has happened; the database refuses to break it; what breaks it is found."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import orjson
import pgtrigger.registry
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from audit.actors import Worker
from audit.models import AuditEvent
from handoff import tasks
from handoff.errors import WrongState
from handoff.models import Finding, InvariantCheck
from handoff.queries.break_glass import sheet_for
from handoff.queries.invariants import Invariant, Violation, check, invariants
from handoff.services import amendments, break_glass, findings, policies, suspensions, waivers
from handoff.services.invariants import keep
from mdlc_site.condition import parts
from tests.handoff import amending, building, test_adoptions, walking
from tests.handoff.walking import by
from tests.queries.counting import Site, a_site, approve, deployed, proof_of

pytestmark = pytest.mark.django_db
EXCEPTIONS = """
waivers: {approver: risk_compliance, max_days: 90, warn_days: 14}
break_glass: {roles: [it_operations, risk_compliance], lasts_hours: 24, confirm_minutes: 60}
"""
OTHER = "(SELECT id FROM audit_account WHERE username = 'mallory')"
# What somebody writes past every service, for each invariant: the database refuses it; without its nets it is found.
BREAKS: dict[str, str] = {
    "I01": "UPDATE handoff_decision SET opened = false WHERE gate = 'release'",
    "I02": "UPDATE handoff_decision SET result = jsonb_set(result, '{requirements,0,met}', 'false') WHERE opened",
    "I03": "UPDATE handoff_signoff SET scope = jsonb_set(scope, '{version}', '\"0\"')",
    "I04": "UPDATE models_registry_modelversion SET manifest = replace(manifest, '7', '8') WHERE state = 'nominated'",
    "I05": """INSERT INTO handoff_deployment
        SELECT (jsonb_populate_record(d, jsonb_build_object('id', gen_random_uuid(), 'order', d.order + 1000000))).*
          FROM handoff_deployment d WHERE d.state = 'live'""",
    "I06": "UPDATE handoff_handoff SET state = 'ready' WHERE state = 'live'",
    "I07": """INSERT INTO handoff_signoff
        SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid(), 'requirement', 'again',
                'statement_digest', repeat('0', 64), 'reauthentication_id', r.id))).*
          FROM handoff_signoff s, (SELECT id FROM handoff_reauthentication WHERE used_at IS NULL LIMIT 1) r
         WHERE s.id = (SELECT o.id FROM handoff_signoff o JOIN handoff_handoff h ON h.id = o.handoff_id
                        WHERE o.voided_at IS NULL AND h.state = 'live' LIMIT 1)""",
    "I08": """UPDATE handoff_signoff SET signer_id = h.offered_by_id FROM handoff_handoff h
               WHERE h.id = handoff_id AND requirement = 'validation'""",
    "I09": "DELETE FROM audit_auditevent WHERE subject LIKE 'signoff:%%'",
    "I10": "UPDATE audit_auditevent SET body = replace(body, 'Otto', 'Vera') WHERE body LIKE '%%Otto%%'",
    "I11": "UPDATE handoff_promotiontest SET fence = fence + 1",
    "I12": "UPDATE handoff_promotiontest SET version_digest = repeat('0', 64)",
    "I13": "DELETE FROM handoff_job WHERE purpose = 'test:golden'",
    "I14": "UPDATE handoff_handoff SET policy = jsonb_set(policy, '{tests}', '[]') WHERE policy IS NOT NULL",
    "I15": "DELETE FROM handoff_ownerofrecord",
    "I16": "UPDATE handoff_breakglass SET confirmed_by_id = asked_by_id WHERE confirmed_at IS NOT NULL",
    "I17": "UPDATE handoff_deployment d SET state = 'failed' FROM handoff_suspension s WHERE s.deployment_id = d.id",
    "I18": "UPDATE handoff_deployment SET \"order\" = 1 WHERE state = 'live'",
    "I19": "UPDATE handoff_signoff SET statement = statement || ' '",
    "I20": f"UPDATE handoff_reauthentication SET person_id = {OTHER} WHERE used_at IS NOT NULL",
    "I21": "UPDATE handoff_waiver SET answered_by_id = asked_by_id, answer = 'approved', answered_at = now()",
    "I22": "DELETE FROM handoff_amendmentsignoff",
    "I23": "DELETE FROM handoff_signoff WHERE requirement = 'validation'",
}  # fmt: skip


@pytest.fixture
def site(db: None, store: Path) -> Site:
    """Return a site where also something was superseded, suspended, waived, amended, and deployed by break-glass."""
    site = a_site()
    place = site.place
    approve(site.handoffs["ready"], place.otto, "release")
    live = deployed(site.handoffs["ready"])
    suspensions.suspend(actor=by(place.rita), deployment_id=live.pk, reason="It answers strangely.")
    assert site.batch is not None
    more = {"sinks": [{"stream": "gone"}, {"stream": "scores"}]}
    proposed = amendments.propose(actor=by(place.otto), deployment_id=site.batch.pk, reason="They want them.", **more)
    amending.sign(proposed, place.iris)
    policies.publish(actor=by(place.ada), source=test_adoptions.LIGHT + EXCEPTIONS)
    handoff = walking.answered(place, walking.offered(place, building.a_version(place, 30)), but=("runbook",))
    told = {"kind": "item", "requirement": "runbook", "reason": "The drill is next week.", "control": "Otto watches."}
    waiver = waivers.ask(actor=by(place.edda), handoff_id=handoff.pk, until=timezone.localdate(), **told)
    waivers.answer(actor=by(place.rita), handoff_id=handoff.pk, waiver_id=waiver.pk, answer="approved")
    glass = break_glass.ask(actor=by(place.otto), handoff_id=handoff.pk, reason="It is down.", incident="INC-9")
    seen = sheet_for(place.rita, handoff.pk, glass.pk).seen
    proof_of(place.vera)  # for whoever would use it to sign twice
    confirmed = {"seen": seen, "reauthentication": proof_of(place.rita)}
    break_glass.confirm(actor=by(place.rita), handoff_id=handoff.pk, break_glass_id=glass.pk, **confirmed)
    return site


def broken(one: Invariant) -> set[str]:
    """Return which invariants do not hold once somebody who owns the tables has broken one, and put it back."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        for net in one.nets:
            cursor.execute("SELECT conrelid::regclass::text FROM pg_constraint WHERE conname = %s", [net])
            for (table,) in cursor.fetchall():
                cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{net}"')
            cursor.execute(f'DROP INDEX IF EXISTS "{net}"')
        cursor.execute(BREAKS[one.id].replace("%%", "%"))
        assert cursor.rowcount > 0, f"{one.id} was not attacked"
        found = {violation.invariant for violation in check().violations}
        transaction.set_rollback(True)
    return found


def test_all_hold_where_everything_has_happened_and_whatever_breaks_one_is_found(site: Site) -> None:
    assert check().violations == ()
    assert set(BREAKS) == {one.id for one in invariants()}
    missed = {one.id: found for one in invariants() if one.id not in (found := broken(one))}
    assert missed == {}
    assert check().violations == ()


def test_the_database_refuses_to_break_it(site: Site) -> None:
    passed = []
    for one in invariants():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(BREAKS[one.id].replace("%%", "%"))
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                transaction.set_rollback(True)
            passed.append(one.id)
        except DatabaseError:
            continue
    assert passed == []


def test_every_guard_net_and_attack_that_a_file_names_is_there(db: None) -> None:
    tests = "\n".join(path.read_text() for path in (settings.BASE_DIR / "tests").rglob("test_*.py"))
    triggers = {uri for uri, _ in pgtrigger.registry._registry.items()}
    with connection.cursor() as cursor:
        cursor.execute("SELECT conname FROM pg_constraint UNION SELECT relname FROM pg_class WHERE relkind = 'i'")
        names = {name for (name,) in cursor.fetchall()}
    for one in invariants():
        assert one.sentence.endswith("."), one.id
        assert callable(import_string(one.guard)), one.guard
        assert {net for net in one.nets if net not in triggers | names} == set(), one.id
        assert [name for name in one.attacks if f"def {name}(" not in tests] == [], one.id


def test_a_check_is_kept_raises_findings_and_resolves_them(site: Site) -> None:
    live = site.handoffs["ready"]
    words = Violation("I15", str(live.pk), f"deployment:{live.pk}", "nobody answers for it")
    for _ in range(2):
        keep(actor=Worker("check_invariants"), checked=replace(check(), violations=(words,)))
    finding = live.findings.get(kind=Finding.Kind.INVARIANT)
    assert (finding.severity, finding.owner, finding.suspends) == ("high", live.target.owner, False)
    with pytest.raises(WrongState, match="always holds"):
        findings.accept(actor=by(site.place.otto), handoff_id=live.pk, finding_id=finding.pk, comment="Never mind.")
    assert [part.verdict for part in parts() if part.name == "invariants"] == ["bad"]
    tasks.check_invariants()
    finding.refresh_from_db()
    assert finding.closing == "resolved"
    told = AuditEvent.objects.filter(action__startswith="invariants.").order_by("pk").values_list("action", flat=True)
    assert list(told) == ["invariants.broken", "invariants.hold"]
    assert InvariantCheck.objects.count() == 3
    assert [part.verdict for part in parts() if part.name == "invariants"] == ["good"]


def test_the_command_names_what_is_broken_and_ends_with_1(site: Site) -> None:
    out = StringIO()
    call_command("check_invariants", stdout=out)
    assert "All of them hold." in out.getvalue()
    call_command("check_invariants", "--list", stdout=out)
    assert out.getvalue().count("attacked by") == len(invariants())
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(BREAKS["I11"])
        cursor.execute("SET LOCAL session_replication_role = origin")
    with pytest.raises(CommandError, match=r"I11: job:.*its result is of number"):
        call_command("check_invariants", "--only", "I11", stdout=out)
    told = StringIO()
    with pytest.raises(CommandError):
        call_command("check_invariants", "--only", "I11", "--json", stdout=told)
    assert orjson.loads(told.getvalue())["violations"][0]["invariant"] == "I11"
    with pytest.raises(CommandError, match="There is no invariant I99"):
        call_command("check_invariants", "--only", "I99")
    assert InvariantCheck.objects.count() == 1


def test_those_who_audit_read_it_and_nobody_else(site: Site) -> None:
    page = site.browser("rita").get("/invariants/").content.decode()
    assert "Not checked yet" in page
    tasks.check_invariants()
    page = site.browser("rita").get("/invariants/").content.decode()
    assert page.count(">holds<") == len(invariants())
    rows = site.api("rita").get("/api/v1/invariants/").json()
    assert [row["id"] for row in rows] == [one.id for one in invariants()]
    assert all(row["violations"] == [] and row["checked_at"] for row in rows)
    for who in ("mallory", "dana"):
        assert site.browser(who).get("/invariants/").status_code == 404
        assert site.api(who).get("/api/v1/invariants/").status_code == 404
