"""Every page outside of the handoff, at two widths and in both themes, for members, strangers and the signed out."""

# ruff: noqa: F401, F811 - fixtures are imported by name

import pytest
from playwright.sync_api import Page, expect

from handoff import tasks
from models_registry.models import Environment
from models_registry.services import profiles, versions
from tests.browser.handoff_site import Open, site, visit
from tests.browser.looks import check
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import PASSWORD, by
from tests.queries import counting

pytestmark = pytest.mark.browser
NOTHING_YET = ("/", "/handoffs/", "/models/", "/environments/", "/deployments/", "/audit/", "/policies/", "/duties/")


def look_at(page: Page, paths: list[str]) -> None:
    """Hold each page against axe and its width."""
    for path in paths:
        page.goto(path)
        check(page)


def test_the_registry_and_the_trail(visit: Open, site: Place) -> None:
    building.a_version(site)
    versions.draft(actor=by(site.dana), model=site.model.slug, notes="A second try")
    walking.offered(site, site.model.versions.get(number=1))
    rules = {"numpy": [{"answer": "allow", "versions": ">=2,<3", "reason": "Fast."}], "dill": {"answer": "prohibit"}}
    policy = {"default": "warn", "rules": rules, "licences": ["MIT"], "install": {"numpy": "2.4.6"}}
    Environment.objects.filter(pk=site.target.pk).update(import_policy=policy)
    for packages in ({"numpy": "2.4.6", "scipy": "1.17.0"}, {"numpy": "2.5.0", "onnxruntime": "1.32.0"}):
        profiles.report(actor=by(site.otto), environment="production", content=building.a_profile(packages=packages))
    model = "/models/tumours/"
    dana = ["/models/", "/models/new/", model, f"{model}versions/1/", f"{model}versions/2/", f"{model}versions/new/"]
    dana += [f"{model}versions/2/elements/thresholds/", "/environments/", "/environments/production/", "/duties/"]
    look_at(visit("dana", "/"), dana)
    tasks.check_invariants()
    look_at(visit("rita", "/"), ["/audit/", "/invariants/"])


def test_streams_and_what_they_feed(visit: Open, site: Place) -> None:
    building.a_version(site)
    consumer = counting.a_sink(site)
    here = "/environments/production/streams/"
    one = f"{here}scores/consumers/{consumer.pk}/"
    look_at(visit("dana", "/"), [f"{here}scores/?version=tumours/1", "/environments/production/"])
    paths = [f"{here}new/", f"{here}scores/", f"{here}scores/change/"]
    page = visit("iris", "/")
    look_at(page, [*paths, f"{here}scores/consumers/new/", f"{one}change/", f"{one}retire/"])
    page.goto(f"{here}new/")
    page.get_by_label("Short name").fill("patients")
    page.get_by_label("Answers").or_(page.get_by_label("Owner")).select_option("otto")
    page.get_by_label("Descriptor").fill("transport: valkey\nencoding: csv\n")
    page.get_by_role("button", name="Declare it").click()
    page.get_by_text("encoding: valkey does not carry csv").wait_for()
    check(page)


def test_nothing_yet_and_nothing_there(visit: Open, site: Place) -> None:
    page = visit("mallory", "/")
    look_at(page, [*NOTHING_YET, "/no-such-page/", "/models/tumours/"])
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_signing_in_and_keeping_an_account(visit: Open, site: Place) -> None:
    page = visit("otto", "/account/password/change/")
    check(page)
    page.goto("/account/2fa/")
    check(page)
    page.goto("/account/2fa/totp/activate/")
    check(page)
    page.goto("/account/logout/")
    check(page)
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Username")).to_be_visible()
    page.goto("/account/login/?next=/handoffs/")
    check(page)
    page.get_by_label("Username").fill("otto")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("not correct")).to_be_visible()
    check(page)
    page.get_by_label("Username").fill("otto")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Handoffs")).to_be_visible()
