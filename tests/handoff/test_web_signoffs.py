"""Sign in the browser: exactly what was seen, by who may, confirmed anew; and nothing typed is lost."""

from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.urls import reverse

from audit.models import Account
from handoff.models import Handoff, SignOff
from handoff.queries.signing import sheet_for
from handoff.services import checklists
from handoff.states import State
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import PASSWORD, by, client_of

pytestmark = pytest.mark.django_db
OTHER = {**walking.FIGURE, "figure": 55}


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


def url_of(handoff: Handoff, requirement: str = "validation") -> str:
    return reverse("handoff-sign", args=[handoff.pk, requirement])


def typed(handoff: Handoff, who: Account, requirement: str = "validation", **changes: Any) -> dict[str, Any]:
    """Return a filled form, as the page that is open has it."""
    sheet = sheet_for(who, handoff.pk, requirement)
    return {
        "seen": sheet.seen,
        "part": [f"{name}={digest}" for name, _, digest in sheet.parts],
        "decision": "approve",
        "meaning": sheet.rule.meaning,
        "comment": "Checked on <my> own holdout.",
        "password": PASSWORD,
        **changes,
    }


def test_the_sheet_shows_every_part_with_its_digest(site: Place) -> None:
    handoff = walking.answered(site)
    html = client_of(site.vera).get(url_of(handoff)).content.decode()
    sheet = sheet_for(site.vera, handoff.pk, "validation")
    assert f'name="seen" value="{sheet.seen}"' in html
    assert all(digest in html for _, _, digest in sheet.parts)
    assert sheet.rule.help in html


def test_signing(site: Place) -> None:
    handoff = walking.answered(site)
    answer = client_of(site.vera).post(url_of(handoff), typed(handoff, site.vera))
    assert (answer.status_code, answer["Location"].partition("#")[2]) == (303, "signoffs")
    signed = SignOff.objects.get()
    assert (signed.signer, signed.decision) == (site.vera, "approve")
    page = client_of(site.dana).get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert signed.statement_digest in page


@pytest.mark.parametrize(
    ("_case", "changes", "status", "told"),
    [
        ("a wrong password", {"password": "wrong"}, 403, "nothing was signed"),
        ("another meaning", {"meaning": "approval"}, 422, "Must be review"),
        ("no decision", {"decision": ""}, 422, "Approve or refuse."),
        ("a refusal without a reason", {"decision": "refuse"}, 422, "Name at least one reason"),
        ("an old sheet", {"seen": "0" * 64}, 409, "changed after it was shown"),
    ],
)
def test_a_refused_signature_keeps_what_was_typed_but_the_password(
    site: Place, _case: str, changes: dict[str, str], status: int, told: str
) -> None:
    handoff = walking.answered(site)
    answer = client_of(site.vera).post(url_of(handoff), typed(handoff, site.vera, **changes))
    html = answer.content.decode()
    assert answer.status_code == status
    assert told in html
    assert "Checked on &lt;my&gt; own holdout." in html
    assert PASSWORD not in html
    assert not SignOff.objects.exists()


def test_what_changed_meanwhile_is_named(site: Place) -> None:
    handoff = walking.answered(site)
    form = typed(handoff, site.vera)
    checklists.answer(actor=by(site.edda), handoff_id=str(handoff.pk), item="capacity", choice="yes", evidence=[OTHER])
    answer = client_of(site.vera).post(url_of(handoff), form)
    assert answer.status_code == 409
    assert answer.context["stale"] == ["the checklist answers and acknowledged differences"]
    assert f'name="seen" value="{sheet_for(site.vera, handoff.pk, "validation").seen}"' in answer.content.decode()


def test_what_changed_since_i_last_signed_is_named(site: Place) -> None:
    handoff = walking.answered(site)
    walking.sign(handoff, site.vera, "validation")
    checklists.answer(actor=by(site.edda), handoff_id=str(handoff.pk), item="capacity", choice="yes", evidence=[OTHER])
    answer = client_of(site.vera).get(url_of(handoff))
    assert answer.context["changed"] == ["the checklist answers and acknowledged differences"]
    page = client_of(site.vera).get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "<s>Vera</s>" in page
    assert "changed after it was given" in page


def test_a_refusal_returns_the_handoff_with_its_reasons(site: Place) -> None:
    handoff = walking.answered(site)
    form = typed(handoff, site.vera, decision="refuse", reasons=["documentation", "cost"], retests=["golden"])
    assert client_of(site.vera).post(url_of(handoff), form).status_code == 303
    handoff.refresh_from_db()
    assert handoff.state == State.RETURNED
    html = client_of(site.dana).get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "Why it came back" in html
    assert "must pass again: golden" in html


def test_who_may_not_sign_reads_why(site: Place) -> None:
    handoff = walking.answered(site)
    html = client_of(site.dana).get(url_of(handoff)).content.decode()
    assert "You do not hold the role that signs here" in html
    assert "You created this version" in html
    assert 'name="password"' not in html
    answer = client_of(site.dana).post(url_of(handoff), typed(handoff, site.dana))
    assert answer.status_code == 403


def test_a_stranger_finds_no_sheet_and_tries_no_password(site: Place) -> None:
    handoff = walking.answered(site)
    assert client_of(site.mallory).get(url_of(handoff)).status_code == 404
    assert client_of(site.mallory).post(url_of(handoff), typed(handoff, site.vera)).status_code == 404
    assert not Account.objects.get(username="mallory").signoffs.exists()


def test_signed_out_in_another_tab_nothing_is_signed(site: Place) -> None:
    handoff = walking.answered(site)
    answer = client_of(None).post(url_of(handoff), typed(handoff, site.vera))
    assert answer.status_code == 403
    assert "signed out, so nothing was done" in answer.content.decode()


def test_a_second_factor_is_asked_for_where_one_is_set_up(site: Place) -> None:
    handoff = walking.answered(site)
    assert 'name="code"' not in client_of(site.vera).get(url_of(handoff)).content.decode()
    TOTP.activate(site.vera, "A" * 32)
    assert 'name="code"' in client_of(site.vera).get(url_of(handoff)).content.decode()
    answer = client_of(site.vera).post(url_of(handoff), typed(handoff, site.vera, code="000000"))
    assert answer.status_code == 403


def test_one_withdraws_ones_own(site: Place) -> None:
    handoff = walking.answered(site)
    signed = walking.sign(handoff, site.vera, "validation")
    url = reverse("handoff-signoff-withdraw", args=[handoff.pk, signed.pk])
    assert client_of(site.otto).post(url, {"reason": "no"}).status_code == 403
    empty = client_of(site.vera).post(url, {"reason": ""})
    assert empty.status_code == 422
    assert "Say why you withdraw it" in empty.content.decode()
    assert client_of(site.vera).post(url, {"reason": "Too early"}).status_code == 303
    signed.refresh_from_db()
    assert signed.voided_because == "withdrawn by the signer: Too early"


def test_each_signature_of_a_series_asks_for_the_password_again(site: Place) -> None:
    """Nothing of one signature is left for the next: no session, however fresh, signs by itself."""
    first, second = (
        walking.answered(site, walking.offered(site, building.a_version(site, n, latency_p99_ms=n))) for n in (1, 2)
    )
    browser = client_of(site.vera)
    assert browser.post(url_of(first), typed(first, site.vera)).status_code == 303
    for password in ("", "x"):
        answer = browser.post(url_of(second), typed(second, site.vera, password=password))
        assert (answer.status_code, SignOff.objects.count()) == (403, 1)
    confirmed = SignOff.objects.get().reauthentication
    replayed = {"reauthentication": str(confirmed.pk), "password": ""}
    assert browser.post(url_of(second), typed(second, site.vera, **replayed)).status_code == 403
    assert browser.post(url_of(second), typed(second, site.vera)).status_code == 303
    assert len(set(SignOff.objects.values_list("reauthentication", flat=True))) == 2
