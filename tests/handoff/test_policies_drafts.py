"""Drafts of policies: compared with what is published and with open handoffs, tried on past ones, then published."""

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit.models import Account
from handoff.decisions import plain
from handoff.errors import NotReady
from handoff.facts import known_of
from handoff.models import Decision, Handoff, PolicyRevision
from handoff.queries.policies import difference_of, simulated
from handoff.rules.policies import understood
from handoff.rules.simulations import facts_of
from handoff.services import handoffs, policies, waivers
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of

pytestmark = pytest.mark.django_db
LIGHT = (settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
RISK = "      - {key: risk, role: risk_compliance, meaning: approval}\n"
STRICTER = LIGHT.replace("  release:\n", RISK + "  release:\n").replace(", latency]", "]")
STRICTER = STRICTER.replace("days: 30", "days: 20")


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


def api_of(account: Account) -> APIClient:
    client = APIClient()
    client.force_authenticate(account)
    return client


def test_a_difference_is_told_in_words(site: Place) -> None:
    found = difference_of(*understood(STRICTER))
    assert found.against == "light r1"
    assert found.changes.gained == ("review: the sign-off risk by Risk compliance: approval",)
    assert found.changes.lost == ("the promotion test latency",)
    assert found.changes.changed == ("an end after 20 days (was: an end after 30 days)",)
    assert not difference_of(*understood(LIGHT)).changes
    assert difference_of(*understood(LIGHT.replace("policy: light", "policy: other"))).against == ""


def test_it_tells_which_open_handoffs_would_gain_or_lose_and_they_keep_theirs(site: Place) -> None:
    handoff = walking.answered(site)
    before = Handoff.objects.get(pk=handoff.pk).policy_digest
    found = difference_of(*understood(STRICTER))
    assert [one.handoff.pk for one in found.open] == [handoff.pk]
    assert "review: the sign-off risk by Risk compliance: approval" in found.open[0].changes.gained
    policies.publish(actor=by(site.ada), source=STRICTER)
    assert Handoff.objects.get(pk=handoff.pk).policy_digest == before


def test_names_are_told_to_those_who_may_know_them(site: Place) -> None:
    handoff = walking.answered(site)
    answer = api_of(site.ada).post(reverse("api:policy-diff"), {"source": STRICTER}).json()
    assert (answer["open"], answer["hidden"]) == ([], 1)
    site.otto.is_staff = True
    site.otto.save(update_fields=["is_staff"])
    answer = api_of(site.otto).post(reverse("api:policy-diff"), {"source": STRICTER}).json()
    assert [one["handoff"] for one in answer["open"]] == [str(handoff.pk)]
    assert answer["changes"]["lost"] == ["the promotion test latency"]


@pytest.mark.parametrize("name", ["policy-diff", "policy-simulate"])
def test_only_administrators_compare_and_try(site: Place, name: str) -> None:
    answer = api_of(site.dana).post(reverse(f"api:{name}"), {"source": STRICTER})
    assert (answer.status_code, answer.json()["code"]) == (403, "administrator_required")


def test_a_simulation_judges_gates_as_they_were_when_they_opened(site: Place) -> None:
    handoff = walking.ready(site)
    assert Decision.objects.filter(handoff=handoff, opened=True).count() >= 1
    same = simulated(understood(LIGHT)[1])
    assert (same.found.gates, same.found.stopped) == (1, {})
    stricter = simulated(understood(STRICTER)[1])
    assert stricter.found.stopped == {str(handoff.pk): {"review": ("Risk compliance signs: approval",)}}
    assert stricter.found.missing == {"review: Risk compliance signs: approval": 1}
    assert [str(one) for one in stricter.named] == [str(handoff)]
    elsewhere = STRICTER.replace("[low, medium]", "[high]")
    assert simulated(understood(elsewhere)[1]).found.gates == 0
    for source in (LIGHT, STRICTER):
        answer = api_of(site.ada).post(reverse("api:policy-simulate"), {"source": source}).json()
        assert (answer["gates"], answer["stopped"]) == (1, int(source == STRICTER))
        assert answer["rows"] == []  # ada holds no role there


def test_facts_come_back_from_a_decision_as_they_went_in(site: Place) -> None:
    facts = known_of(walking.ready(site)).facts
    assert facts_of(plain(facts)) == facts


def test_a_simulation_lets_waivers_of_the_time_stand_where_the_draft_allows_them(site: Place) -> None:
    allowing = LIGHT + "waivers: {approver: risk_compliance}\n"
    policies.publish(actor=by(site.ada), source=allowing)
    handoff = walking.answered(site, but=("runbook",))
    told = {"reason": "It is being written.", "control": "Otto watches it.", "until": timezone.localdate()}
    waiver = waivers.ask(actor=by(site.edda), handoff_id=handoff.pk, kind="item", requirement="runbook", **told)
    waivers.answer(actor=by(site.rita), handoff_id=handoff.pk, waiver_id=waiver.pk, answer="approved")
    walking.sign(handoff, site.vera, "validation")
    walking.sign(handoff, site.otto, "acceptance")
    facts = known_of(handoff).facts
    assert facts_of(plain(facts)).waivers == facts.waivers != {}
    assert simulated(understood(allowing)[1]).found.stopped == {}
    ((stopped, lacking),) = simulated(understood(LIGHT)[1]).found.stopped.items()
    assert (stopped, list(lacking), len(lacking["review"])) == (str(handoff.pk), ["review"], 1)


def test_a_simulation_takes_as_many_queries_for_one_as_for_many(site: Place) -> None:
    walking.ready(site)
    rules = understood(STRICTER)[1]
    with CaptureQueriesContext(connection) as first:
        simulated(rules)
    for decision in Decision.objects.all():
        Decision.objects.bulk_create(
            [
                Decision(
                    handoff=decision.handoff, gate=gate, taken_by="x", opened=True, facts=decision.facts, result={}
                )
                for gate in ("release", "confirm")
            ]
        )
    with CaptureQueriesContext(connection) as more:
        assert simulated(rules).found.gates == 3
    assert len(first) == len(more)


def test_the_page_shows_the_difference_before_it_publishes(site: Place) -> None:
    client, address = client_of(site.ada), reverse("policy-publish")
    tried = client.post(address, {"source": STRICTER, "do": "simulate"}).content.decode()
    assert "No gate of a handoff to which it applies has opened yet." in tried
    walking.ready(site)
    tried = client.post(address, {"source": STRICTER, "do": "simulate"}).content.decode()
    assert "1 gate of 1 handoff opened" in " ".join(tried.split())
    answer = client.post(address, {"source": STRICTER})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "<b>Loses</b> the promotion test latency" in html
    assert PolicyRevision.objects.count() == 1
    other = client.post(address, {"source": LIGHT.replace("30", "20"), "seen": answer.context["seen"]})
    assert other.status_code == 200  # what was shown was another text
    assert PolicyRevision.objects.count() == 1
    assert client.post(address, {"source": STRICTER, "seen": answer.context["seen"]}).status_code == 303
    assert PolicyRevision.objects.count() == 2


def test_the_admin_shows_the_difference_before_it_publishes(site: Place) -> None:
    client, address = client_of(site.ada), reverse("admin:handoff_policyrevision_add")
    walking.offered(site)
    shown = client.post(address, {"source": STRICTER})
    told = " ".join(shown.content.decode().split())
    assert (shown.status_code, PolicyRevision.objects.count()) == (200, 1)
    assert "<b>Loses</b> the promotion test latency" in told
    assert "Nothing is published yet" in told
    assert "Please correct the error" not in told
    form = shown.context["adminform"].form
    assert form["source"].value() == STRICTER  # as it was typed
    seen = form["seen"].value()
    other = client.post(address, {"source": LIGHT.replace("30", "20"), "seen": seen})
    assert (other.status_code, PolicyRevision.objects.count()) == (200, 1)  # what was shown was another text
    assert client.post(address, {"source": STRICTER, "seen": seen}).status_code == 302
    assert PolicyRevision.objects.get(number=2).published_by == site.ada


def run(*words: str) -> str:
    out = StringIO()
    call_command("policy", *words, stdout=out)
    return out.getvalue()


def test_the_command_validates_compares_tries_and_publishes(site: Place, tmp_path: Path) -> None:
    handoff = walking.ready(site)
    file = tmp_path / "light.yaml"
    file.write_text(STRICTER)
    assert "the policy light is one" in run("validate", str(file))
    told = run("diff", str(file))
    assert "against light r1" in told
    assert "- the promotion test latency" in told
    assert str(handoff) in told
    assert f"{handoff} at review: Risk compliance signs: approval" in run("simulate", str(file))
    assert PolicyRevision.objects.count() == 1
    with pytest.raises(CommandError, match="nobody with the log-in"):
        run("publish", str(file), "--by", "nobody", "--yes")
    with pytest.raises(CommandError, match="Only an administrator"):
        run("publish", str(file), "--by", "dana", "--yes")
    with pytest.raises(CommandError, match="cannot be read"):
        run("validate", str(tmp_path / "none.yaml"))
    assert "light r2 is published" in run("publish", str(file), "--by", "ada", "--yes")
    assert PolicyRevision.objects.get(number=2).published_by == site.ada


def test_thresholds_that_are_too_lax_stand_in_the_way_of_an_offer(site: Place) -> None:
    source = LIGHT + "thresholds: {latency_p99_ms: 0.5, peak_memory_mb: 1000000}\n"
    policies.publish(actor=by(site.ada), source=source)
    draft = walking.drafted(site)
    with pytest.raises(NotReady) as refusal:
        handoffs.offer(actor=by(site.dana), handoff_id=str(draft.pk))
    assert "at most 0.5" in str(refusal.value.fields["thresholds.latency_p99_ms"])
    assert Handoff.objects.get(pk=draft.pk).state == "draft"


def test_an_offer_that_ends_soon_is_in_the_inbox_of_whoever_offered(site: Place) -> None:
    policies.publish(actor=by(site.ada), source=LIGHT + "reminders_before_days: [7, 2]\n")
    handoff = walking.offered(site)
    assert not any(entry.reminded for entry in walking.inbox(site.dana))
    Handoff.objects.filter(pk=handoff.pk).update(expires_at=timezone.now() + timedelta(days=6))
    entries = walking.inbox(site.dana)
    assert all(entry.reminded for entry in entries)
    assert "remind" in {entry.task.kind for entry in entries}
    assert "ends soon" in client_of(site.dana).get(reverse("inbox")).content.decode()
    assert {entry.task.kind for entry in walking.inbox(site.vera)} <= {"sign"}
