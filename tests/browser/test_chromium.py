"""Chromium is found, draws a page, and its absence is told in one sentence."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium as finding
from tests.browser.chromium import NoChromium, chromium

pytestmark = pytest.mark.browser
PNG = b"\x89PNG\r\n\x1a\n"


def test_a_page_is_drawn(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 200})
    page.set_content("<!doctype html><html lang=en><title>Drawn</title><h1>Handed over</h1>")
    assert page.get_by_role("heading").inner_text() == "Handed over"
    assert page.screenshot().startswith(PNG)
    page.close()


def test_without_any_browser_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MDLC_CHROMIUM", raising=False)
    monkeypatch.setattr(finding, "_installed_by_apt", lambda: False)
    monkeypatch.setattr(finding, "_installed_by_playwright", lambda: False)
    with pytest.raises(NoChromium, match="apt-get install chromium"):
        chromium(str(tmp_path / "nothing"))


def test_a_named_program_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDLC_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(NoChromium, match="/nowhere/chromium"):
        chromium()


def test_playwrights_own_is_taken_where_nothing_else_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "chrome"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("MDLC_CHROMIUM", raising=False)
    assert chromium(str(own)) == str(own)
