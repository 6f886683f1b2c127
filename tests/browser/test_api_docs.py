"""The pages that describe and browse the API work under the strict policy for content."""

from typing import Any

import pytest
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("address", ["/api/v1/docs/", "/api/v1/tokens/"])
def test_nothing_is_blocked(address: str, browser: Browser, live_server: Any) -> None:
    page = browser.new_page()
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text) if "Policy" in message.text else None)
    page.goto(live_server.url + address)
    if address.endswith("docs/"):
        page.locator(".opblock").first.wait_for(timeout=30_000)
        page.mouse.move(600, 400)
        page.mouse.wheel(0, 100_000)  # what is out of sight is drawn when it comes into sight
        page.get_by_text("/api/v1/tokens/", exact=False).first.wait_for(timeout=30_000)
    else:
        page.get_by_text("GET /api/v1/tokens/").first.wait_for()
    assert blocked == []
    page.close()
