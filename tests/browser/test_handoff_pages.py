"""Every page of the handoff at two widths and in both themes: nothing that axe finds, nothing that overflows."""

# ruff: noqa: F401, F811 - fixtures are imported by name

from typing import Any

import pytest
from playwright.sync_api import expect

from handoff.models import Handoff
from tests.browser.handoff_site import Open, site, visit
from tests.browser.looks import check
from tests.handoff import batching, building, walking
from tests.handoff.building import Place
from tests.handoff.walking import sign
from tests.queries import counting

pytestmark = pytest.mark.browser


def test_pages_are_accessible_and_fit(visit: Open, site: Place) -> None:
    handoff = walking.answered(site)
    sign(handoff, site.vera, "validation")
    walking.drafted(site, building.a_version(site, 2))
    replays = f"/handoffs/{handoff.pk}/replays/"
    pages = {
        "otto": [
            "/",
            "/handoffs/",
            "/handoffs/?view=list",
            f"/handoffs/{handoff.pk}/",
            *reports_of(handoff),
            replays,
        ],
        "dana": [f"/handoffs/{handoff.pk}/sign/acceptance/", "/handoffs/new/?model=tumours&version=2", "/"],
        "ada": ["/policies/", "/policies/light/1/", "/policies/publish/?from=light", "/deployments/", "/"],
    }
    for name, paths in pages.items():
        page = visit(name, paths[0])
        for path in paths:
            page.goto(path)
            check(page)
    page = visit("otto", f"/handoffs/{handoff.pk}/sign/acceptance/")
    check(page)
    page.get_by_label("Approve", exact=True).check()
    page.get_by_label("Responsibility.").check()
    page.get_by_label("Your password, again").fill("wrong")
    page.get_by_role("button", name="Sign", exact=True).click()
    page.get_by_text("nothing was signed").wait_for()
    check(page)


def reports_of(handoff: Handoff) -> list[str]:
    """Return the addresses of a handoff's difference report: whole, filtered, and for paper."""
    report = f"/handoffs/{handoff.pk}/differences/"
    return [report, f"{report}?facet=tools&severity=medium", f"{report}print/"]


def test_a_report_is_filtered_and_acknowledged_without_script(visit: Open, site: Place) -> None:
    handoff = walking.offered(site)
    page = visit("otto", f"/handoffs/{handoff.pk}/differences/", script=False)
    page.get_by_role("navigation", name="Filter the report").get_by_role("link", name="undeclared").click()
    expect(page.get_by_role("listitem").filter(has_text="4 CPU")).to_have_count(1)
    expect(page.get_by_text("Python")).to_have_count(1)  # only in the legend
    page.get_by_label("Hardware").check()
    page.get_by_label("What was done about them").fill("Asked for more memory")
    page.get_by_role("button", name="Acknowledge what is ticked").click()
    expect(page.get_by_text("Acknowledged, under your name.")).to_be_visible()
    page.goto(f"/handoffs/{handoff.pk}/differences/?state=mitigated")
    expect(page.get_by_text("Done about it: “Asked for more memory”")).to_be_visible()


def test_later_states_are_accessible_and_fit(visit: Open, site: Place) -> None:
    handoff = walking.ready(site)
    page = visit("otto", f"/handoffs/{handoff.pk}/")
    check(page)
    page.goto(f"/handoffs/{handoff.pk}/sign/release/")
    check(page)
    other = walking.drafted(site, building.a_version(site, 2))
    page = visit("dana", f"/handoffs/{other.pk}/")
    check(page)


def test_the_runs_of_a_batch_are_accessible_and_fit(visit: Open, site: Place, settings: Any) -> None:
    settings.ENGINE_URLS = {"production": "http://127.0.0.1:9"}
    deployment = counting.a_batch(site)
    page = visit("otto", f"/deployments/{deployment.pk}/")
    page.get_by_role("heading", name="Run now").click()
    page.get_by_label("Why does it run now?").fill("The ward asks.")
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_text("Run 1 is ordered")).to_be_visible()
    page.goto("about:blank")  # the page would load itself anew once the run has ended, and break off what is asked then
    batching.ended(batching.started(deployment.runs.get()))
    for number in range(2, 13):
        batching.ended(batching.started(batching.on_demand(deployment, site.otto, f"Night {number}.")), "failed")
    batching.started(batching.on_demand(deployment, site.otto, "Once more."))
    page.goto(f"/deployments/{deployment.pk}/")
    check(page)
    page.goto(f"/deployments/{deployment.pk}/runs/13/")
    expect(page.get_by_role("button", name="Stop this run")).to_be_visible()
    check(page)
