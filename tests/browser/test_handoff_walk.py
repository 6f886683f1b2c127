"""One handoff by hand, in real Chromium, from the new form to a scored record; and the bad turns."""

# ruff: noqa: F401, F811 - fixtures are imported by name

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from handoff.models import Handoff, SignOff
from handoff.services import checklists
from models_registry.models import Environment
from tests import processes
from tests.browser.handoff_site import Open, site, visit
from tests.handoff import artifacts, walking
from tests.handoff.building import Place
from tests.handoff.walking import PASSWORD, by
from tests.processes import Process

pytestmark = pytest.mark.browser
SLOW = 60_000


def sign(page: Page, *, meaning: str, comment: str = "") -> None:
    """Fill the sheet that is open, and sign."""
    page.get_by_label("Approve", exact=True).check()
    page.get_by_label(meaning).check()
    page.get_by_label("Comment").fill(comment)
    page.get_by_label("Your password, again").fill(PASSWORD)
    page.get_by_role("button", name="Sign", exact=True).click()


def answer(page: Page, question: str, **evidence: Any) -> None:
    """Answer one question with yes and its evidence."""
    item = page.locator(".ho-item").filter(has_text=question)
    item.get_by_label("Yes", exact=True).check()
    for label, value in evidence.items():
        field = item.get_by_label(label.capitalize(), exact=True)
        field.set_input_files(value) if label == "file" else field.fill(value)
    item.get_by_role("button", name="Answer").click()
    expect(item).to_have_attribute("data-choice", "yes")


@pytest.fixture
def background(site: Place, live_server: Any, settings: Any, tmp_path: Path) -> Iterator[None]:
    """Run what the Procfile runs beside the web: broker, relay, both workers and an engine."""
    started: list[Process] = []
    engine = processes.Engine(tmp_path, live_server.url)
    settings.SITE_URL, settings.ENGINE_TOKEN = live_server.url, processes.TOKEN
    settings.ENGINE_URLS = {"production": engine.url}
    try:
        broker, address = processes.broker(tmp_path)
        started.append(broker)
        env = processes.environment(
            REDIS_URL=address, SITE_URL=live_server.url, ENGINE_URLS=f"production={engine.url}", MDLC_JOB_LEASE="20"
        )
        started.append(processes.relay(tmp_path, env).until("listening"))
        started.append(processes.worker(tmp_path, env, "tests", "tests").until("ready."))
        started.append(processes.worker(tmp_path, env, "deployments", "deployments").until("ready."))
        yield
    finally:
        for process in reversed(started):
            process.stop()
        engine.kill()


@pytest.mark.processes
@pytest.mark.usefixtures("background")
def test_from_the_files_to_a_live_record_and_back(visit: Open, site: Place, tmp_path: Path) -> None:
    Environment.objects.update(packages={"onnxruntime": "1.32.0"})
    for number, quality in ((1, "good"), (2, "other")):
        _register(visit, tmp_path, number, quality)
        handoff = _draft_and_offer(visit, number)
        _review(visit, handoff, tmp_path)
        _release(visit, handoff)
    _score(visit)
    _roll_back(visit, handoff)


def _register(visit: Open, folder: Path, number: int, quality: str) -> None:
    """Upload a model and all that it is made of, and seal it."""
    page = visit("dana", "/models/tumours/versions/new/")
    runtime = {"python": ">=3.11,<3.15", "packages": {"onnxruntime": ">=1.30,<2"}}
    for name, content in {**artifacts.elements(quality), "runtime": json.dumps(runtime).encode()}.items():
        path = (
            folder / f"{name}.{'jsonl' if name in ('golden', 'validation') else 'onnx' if name == 'model' else 'json'}"
        )
        path.write_bytes(content)
        page.locator(f"input[name={name}]").set_input_files(str(path))
    page.get_by_role("button", name="Start the version").click()
    expect(page.get_by_text(f"Version {number} is a draft.")).to_be_visible()
    expect(page.get_by_text("Everything is here.")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Nominate and seal").click()
    expect(page.get_by_role("heading", name="Digest")).to_be_visible()


def _draft_and_offer(visit: Open, number: int) -> Handoff:
    page = visit("dana", f"/handoffs/new/?model=tumours&version={number}")
    page.get_by_label("Note to those who receive it").fill("Mind the scaling step.")
    expect(page.get_by_role("heading", name="Ready to be offered")).to_be_visible()
    page.get_by_label("Results go out as").select_option("binary")
    page.get_by_role("button", name="Start the draft").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Tumours v{number} → Production")
    page.get_by_role("button", name="Offer to Plant").click()
    expect(page.locator("#handoff")).to_have_attribute("data-state", "in_review")
    for question in ("purpose, users and limits", "origin of the training data"):
        answer(page, question, link="https://wiki.example.org/card")
    return Handoff.objects.get(version__number=number)


def _review(visit: Open, handoff: Handoff, folder: Path) -> None:
    runbook = folder / "runbook.pdf"
    runbook.write_bytes(b"%PDF-1.7 Call Otto.")
    page = visit("edda", "/")
    page.get_by_role("link", name="Answer: Does a runbook say").click()
    answer(page, "Does a runbook say", file=str(runbook))
    answer(page, "How many requests a second", figure="40")
    page = visit("otto", "/")
    page.get_by_role("link", name="Acknowledge").click()
    page.get_by_label("Hardware").check()
    page.get_by_role("button", name="Acknowledge what is ticked").click()
    expect(page.get_by_text("Acknowledged, under your name.")).to_be_visible()
    page = visit("vera", "/")
    page.get_by_role("link", name="Read and sign").click()
    sign(page, meaning="Review.", comment="On a holdout of my own.")
    expect(page.get_by_text("On a holdout of my own.").first).to_be_visible()
    page = visit("otto", f"/handoffs/{handoff.pk}/sign/acceptance/")
    sign(page, meaning="Responsibility.")
    expect(page.get_by_text("of 7 ended.")).to_be_visible()
    # the workers run the tests, and the page follows by itself
    expect(page.locator("#handoff")).to_have_attribute("data-state", "ready", timeout=SLOW)
    expect(page.get_by_text("7 of 7 ended.")).to_be_visible()


def _release(visit: Open, handoff: Handoff) -> None:
    page = visit("otto", f"/handoffs/{handoff.pk}/")
    page.get_by_role("link", name="Read and sign").click()
    expect(page.get_by_text("All 20 golden records reproduced").first).to_be_visible()
    sign(page, meaning="Approval.")
    expect(page.locator("#handoff")).to_have_attribute("data-state", "live", timeout=SLOW)


def _score(visit: Open) -> None:
    page = visit("iris", "/deployments/")
    page.get_by_role("link", name="Try a record").click()
    page.get_by_role("button", name="Score this record").click()
    expect(page.get_by_role("heading", name="The endpoint answers")).to_be_visible()
    page.get_by_label("radius").fill("-1")
    page.get_by_role("button", name="Score this record").click()
    expect(page.get_by_role("heading", name="Refused: the record breaks the schema")).to_be_visible()
    expect(page.get_by_label("radius")).to_have_value("-1")


def _roll_back(visit: Open, handoff: Handoff) -> None:
    page = visit("otto", f"/deployments/{handoff.deployments.get().pk}/")
    page.get_by_role("heading", name="Roll back").click()
    page.get_by_label("Why is it rolled back?").fill("Doctors see odd scores.")
    page.get_by_label("Yes, take version 2 out of Production now").check()
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("The rollback is ordered")).to_be_visible()  # whoever leaves earlier may take it back
    page.goto(f"/handoffs/{handoff.pk}/")
    expect(page.locator("#handoff")).to_have_attribute("data-state", "rolled_back", timeout=SLOW)
    expect(page.get_by_text("Doctors see odd scores.").first).to_be_visible()
    page.goto("/deployments/")
    expect(page.locator(".m-card, .ho-live").filter(has_text="v1").first).to_be_visible()


def test_every_form_works_without_script(visit: Open, site: Place) -> None:
    handoff = walking.answered(site, but=("capacity",))
    page = visit("edda", f"/handoffs/{handoff.pk}/", script=False)
    item = page.locator("#item-capacity")
    item.get_by_label("Yes", exact=True).check()
    item.get_by_role("button", name="Answer").click()
    expect(page.get_by_role("alert")).to_contain_text("A yes needs evidence: figure.")
    expect(item.get_by_label("Yes", exact=True)).to_be_checked()
    item.get_by_label("Figure").fill("40")
    item.get_by_role("button", name="Answer").click()
    expect(page).to_have_url(re.compile("#item-capacity$"))
    page = visit("vera", f"/handoffs/{handoff.pk}/sign/validation/", script=False)
    sign(page, meaning="Review.")
    expect(page.get_by_text("Signed.", exact=True)).to_be_visible()
    assert SignOff.objects.count() == 1


def test_a_refused_answer_is_shown_in_place_without_leaving_the_page(
    visit: Open,
    site: Place,
    tmp_path: Path,
) -> None:
    handoff = walking.offered(site)
    runbook = tmp_path / "runbook.pdf"
    runbook.write_bytes(b"%PDF-1.7 Call Otto.")
    page = visit("edda", f"/handoffs/{handoff.pk}/")
    page.evaluate("window.here = true")
    item = page.locator("#item-runbook")
    item.get_by_label("No", exact=True).check()
    item.get_by_label("File").set_input_files(str(runbook))
    item.get_by_role("button", name="Answer").click()
    expect(item.get_by_role("alert")).to_contain_text("needs a reason")
    expect(item.get_by_text("is received and kept")).to_be_visible()
    item.get_by_label("Yes", exact=True).check()
    item.get_by_role("button", name="Answer").click()
    expect(page.get_by_role("link", name="runbook.pdf")).to_be_visible()
    assert page.evaluate("window.here") is True


def test_what_changed_while_the_sheet_was_open_is_named(visit: Open, site: Place) -> None:
    handoff = walking.answered(site)
    page = visit("vera", f"/handoffs/{handoff.pk}/sign/validation/")
    figure = {**walking.FIGURE, "figure": 55}
    checklists.answer(actor=by(site.edda), handoff_id=str(handoff.pk), item="capacity", choice="yes", evidence=[figure])
    sign(page, meaning="Review.", comment="Read with care.")
    expect(page.get_by_text("Changed since you opened this page:")).to_be_visible()
    expect(page.get_by_label("Comment")).to_have_value("Read with care.")
    expect(page.get_by_label("Your password, again")).to_have_value("")
    assert not SignOff.objects.exists()
    sign(page, meaning="Review.", comment="Read again.")
    expect(page.get_by_text("Read again.").first).to_be_visible()


def test_the_keyboard_is_enough_to_sign(visit: Open, site: Place) -> None:
    handoff = walking.answered(site)
    page = visit("vera", f"/handoffs/{handoff.pk}/sign/validation/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    seen = page.locator("input[name=decision]").first
    for _ in range(60):
        page.keyboard.press("Tab")
        if seen.evaluate("one => one === document.activeElement"):
            break
    expect(seen).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")  # from authorship, which the arrow leaves, to review
    page.get_by_label("Review.").focus()
    page.keyboard.press("Space")
    page.get_by_label("Your password, again").focus()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Signed.", exact=True)).to_be_visible()
