"""Pages of handoffs: who may see them, that nothing typed is lost, and how many queries each costs."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from handoff.models import Handoff
from handoff.services import handoffs
from handoff.states import State
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


def queries_of(client: Client, path: str) -> int:
    """Count the queries of a page, session and account included, once all caches are warm."""
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


@pytest.mark.parametrize("name", ["inbox", "handoffs", "deployments", "policies"])
def test_a_list_costs_the_same_however_long_it_is(site: Place, name: str) -> None:
    """The numbers themselves are constants of tests/queries."""
    walking.answered(site)
    client = client_of(site.dana)
    one = queries_of(client, reverse(name))
    for number in (2, 3):
        walking.answered(site, walking.offered(site, building.a_version(site, number)))
    assert queries_of(client, reverse(name)) == one


def test_strangers_find_nothing_and_the_signed_out_are_sent_to_sign_in(site: Place) -> None:
    page = reverse("handoff", args=[walking.offered(site).pk])
    assert client_of(site.mallory).get(page).status_code == 404
    answer = client_of(None).get(page)
    assert (answer.status_code, answer["Location"]) == (302, f"/account/login/?next={page}")


def test_who_is_signed_out_in_another_tab_is_told_that_nothing_was_done(site: Place) -> None:
    handoff = walking.offered(site)
    answer = client_of(None).post(reverse("handoff-withdraw", args=[handoff.pk]), {"reason": "a mistake"})
    assert answer.status_code == 403
    assert "nothing was done" in answer.content.decode()
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW


def test_a_member_without_the_right_is_refused_in_place(site: Place) -> None:
    handoff = walking.offered(site)
    for path, form in (("withdraw", {"reason": "mine"}), ("answers/purpose", {"choice": "yes"}), ("deploy-again", {})):
        answer = client_of(site.vera).post(f"/handoffs/{handoff.pk}/{path}/", form)
        assert answer.status_code == 403
        assert 'data-code="role_not_held"' in answer.content.decode()


def test_the_page_says_why_it_is_blocked_and_who_can_clear_it(site: Place) -> None:
    html = client_of(site.dana).get(reverse("handoff", args=[walking.offered(site).pk])).content.decode()
    assert "Analytic engineer has not answered" in html
    assert "Who can clear it: <b>Edda</b>" in html


def test_the_board_and_the_list_filter(site: Place) -> None:
    handoff = walking.offered(site)
    page = reverse("handoff", args=[handoff.pk])
    client = client_of(site.dana)
    for view in ("board", "list"):
        assert page in client.get(reverse("handoffs"), {"view": view, "open": "1"}).content.decode()
        found = client.get(reverse("handoffs"), {"view": view, "state": "live"}).content.decode()
        assert page not in found
        assert "No handoff fits the filter" in found


def test_the_board_tells_where_the_ended_ones_are(site: Place) -> None:
    handoff = walking.offered(site)
    client = client_of(site.dana)
    assert "that ended" not in client.get(reverse("handoffs")).content.decode()
    handoffs.withdraw(actor=by(site.dana), handoff_id=str(handoff.pk), reason="The sample was too small.")
    for asked in ({}, {"state": "withdrawn"}):
        board = " ".join(client.get(reverse("handoffs"), asked).content.decode().split())
        assert "1 that ended stands in" in board
        assert "No handoff fits the filter" not in board
    assert "?state=withdrawn&amp;view=list" in board
    page = reverse("handoff", args=[handoff.pk])
    assert page in client.get(reverse("handoffs"), {"state": "withdrawn", "view": "list"}).content.decode()


def test_empty_lists_say_what_to_do_next(site: Place) -> None:
    client = client_of(site.mallory)
    assert "Nothing waits for you" in client.get(reverse("inbox")).content.decode()
    assert "No handoffs yet" in client.get(reverse("handoffs")).content.decode()
    assert "Nothing is live yet" in client.get(reverse("deployments")).content.decode()
    assert "No version to hand over yet" in client.get(reverse("handoff-new")).content.decode()


def test_a_draft_is_previewed_and_started(site: Place) -> None:
    building.a_version(site)
    client = client_of(site.dana)
    typed = {"version": "tumours@1", "source": "workbench", "target": "production", "note": "Mind the scaling."}
    preview = client.post(reverse("handoff-new"), {**typed, "do": "preview"})
    assert "Ready to be offered" in preview.content.decode()
    assert not Handoff.objects.exists()
    answer = client.post(reverse("handoff-new"), {**typed, "do": "draft", "consumers": "Board\nReport"})
    handoff = Handoff.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, reverse("handoff", args=[handoff.pk]))
    assert handoff.bindings["consumers"] == ["Board", "Report"]


def test_a_refused_draft_keeps_what_was_typed(site: Place) -> None:
    building.a_version(site)
    typed = {"version": "tumours@1", "source": "workbench", "target": "workbench", "note": "Mind <the> scaling."}
    answer = client_of(site.dana).post(reverse("handoff-new"), {**typed, "do": "draft", "consumers": "Board"})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "Mind &lt;the&gt; scaling." in html
    assert ">Board</textarea>" in html


def test_the_preview_says_what_the_draft_says(site: Place) -> None:
    version = building.a_version(site)
    typed = {"version": "tumours@1", "source": "workbench", "target": "production", "do": "preview"}
    before = client_of(site.dana).post(reverse("handoff-new"), typed).context["offer"]
    handoff = walking.drafted(site, version)
    after = client_of(site.dana).get(reverse("handoff", args=[handoff.pk])).context["view"].offer
    assert (before.missing, before.report_digest) == (after.missing, after.report_digest)


def test_a_stale_draft_is_not_overwritten_and_the_note_is_kept(site: Place) -> None:
    handoff = walking.drafted(site)
    handoffs.change(actor=by(site.dana), handoff_id=str(handoff.pk), note="Another tab was quicker.")
    answer = client_of(site.dana).post(
        reverse("handoff-change", args=[handoff.pk]), {"note": "My words", "revision": "1"}
    )
    assert answer.status_code == 409
    assert "My words" in answer.content.decode()
    handoff.refresh_from_db()
    assert handoff.note == "Another tab was quicker."


def test_offering_lists_what_is_missing_and_who_supplies_it(site: Place) -> None:
    handoff = walking.drafted(site)
    site.edda.is_active = False
    site.edda.save(update_fields=["is_active"])
    client = client_of(site.dana)
    answer = client.post(reverse("handoff-offer", args=[handoff.pk]))
    assert answer.status_code == 422
    assert "Nobody holds the role Analytic engineer" in answer.content.decode()


def test_offering_and_withdrawing(site: Place) -> None:
    handoff = walking.drafted(site)
    client = client_of(site.dana)
    assert client.post(reverse("handoff-offer", args=[handoff.pk])).status_code == 303
    assert client.post(reverse("handoff-withdraw", args=[handoff.pk]), {"reason": " "}).status_code == 422
    assert client.post(reverse("handoff-withdraw", args=[handoff.pk]), {"reason": "A bug"}).status_code == 303
    handoff.refresh_from_db()
    assert handoff.state == State.WITHDRAWN
    assert "A bug" in client.get(reverse("handoff", args=[handoff.pk])).content.decode()


def test_htmx_gets_the_body_alone_with_the_message(site: Place) -> None:
    handoff = walking.drafted(site)
    answer = client_of(site.dana).post(reverse("handoff-offer", args=[handoff.pk]), headers=HTMX)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert html.lstrip().startswith('<div id="handoff"')
    assert "The handoff is offered" in html


def test_the_page_follows_the_tests_and_stops_when_they_are_done(site: Place) -> None:
    handoff = walking.under_test(site)
    client = client_of(site.dana)
    page, progress = reverse("handoff", args=[handoff.pk]), reverse("handoff-progress", args=[handoff.pk])
    assert f'hx-get="{progress}?shown=testing"' in client.get(page).content.decode()
    fragment = client.get(progress, {"shown": "testing"}, headers=HTMX)
    assert "0 of 7 ended" in fragment.content.decode()
    assert "HX-Retarget" not in fragment
    building.tested(handoff)
    moved = client.get(progress, {"shown": "testing"}, headers=HTMX)
    assert moved["HX-Retarget"] == "#handoff"
    assert 'data-state="ready"' in moved.content.decode()
    assert "every 2s" not in client.get(page).content.decode()


@pytest.mark.parametrize("path", ["change", "offer", "withdraw", "deploy-again", "acknowledgements"])
def test_acts_are_never_done_by_get(site: Place, path: str) -> None:
    handoff = walking.drafted(site)
    assert client_of(site.dana).get(f"/handoffs/{handoff.pk}/{path}/").status_code == 405


@pytest.mark.parametrize(("path", "form"), [("offer", {}), ("withdraw", {"reason": "x"}), ("acknowledgements", {})])
def test_a_stranger_cannot_tell_that_it_exists_by_acting(site: Place, path: str, form: dict[str, str]) -> None:
    handoff = walking.drafted(site)
    assert client_of(site.mallory).post(f"/handoffs/{handoff.pk}/{path}/", form).status_code == 404


def test_no_page_holds_inline_script_or_style(site: Place) -> None:
    handoff = walking.ready(site)
    client = client_of(site.otto)
    for path in ("/", "/handoffs/", f"/handoffs/{handoff.pk}/", f"/handoffs/{handoff.pk}/sign/release/", "/policies/"):
        html = client.get(path).content.decode()
        assert " style=" not in html
        assert "<style" not in html
        assert html.count("<script") == html.count("<script src=")
