"""Lists of handoffs and deployments come a page at a time, the newest first, nothing twice and nothing left out."""

import pytest
from django.db import connection
from django.utils import timezone

from handoff.models import Deployment, Handoff
from handoff.web import handoffs as web
from models_registry.models import RegisteredModel, RegisteredModelUserGrant
from tests.handoff import building, walking
from tests.handoff.building import Place

pytestmark = pytest.mark.django_db
LISTS = (
    *("/", "/handoffs/", "/handoffs/?view=list", "/deployments/", "/models/", "/findings/", "/lead-times/", "/audit/"),
    *(f"/api/v1/{name}/" for name in ("handoffs", "deployments", "findings", "models", "environments", "inbox")),
)


@pytest.fixture
def site() -> Place:
    """Return a place with five drafts of dana's."""
    place = walking.a_site()
    for number in range(1, 6):
        walking.drafted(place, building.a_version(place, number))
    return place


def over_the_api(site: Place, who: str, there: str | None) -> list[str]:
    """Return the keys of a list, page by page."""
    client, keys = walking.client_of(site.people[who]), list[str]()
    while there:
        page = client.get(there).json()
        keys += [row["id"] for row in page["results"]]
        there = page["next"]
    return keys


def test_handoffs_follow_each_other_without_gap_or_repeat(site: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = [str(one.pk) for one in Handoff.objects.order_by("-drafted_at")]
    assert over_the_api(site, "dana", "/api/v1/handoffs/?page_size=2") == newest
    assert over_the_api(site, "dana", "/api/v1/handoffs/?state=live") == []
    assert over_the_api(site, "mallory", "/api/v1/handoffs/") == []
    monkeypatch.setattr(web, "PER_PAGE", 2)
    browser = walking.client_of(site.dana)
    pages = [browser.get(f"/handoffs/?view=list&page={number}").context["page"] for number in (1, 2, 3)]
    assert [[str(one.pk) for one in page] for page in pages] == [newest[:2], newest[2:4], newest[4:]]
    assert pages[0].paginator.num_pages == 3
    assert [one.model.name for one in pages[2]] == [site.model.name]


def plans_kept(site: Place) -> int:
    """Return how many plans the session keeps once every list was read twice."""
    client = walking.client_of(site.dana)
    for address in LISTS * 2:
        assert client.get(address).status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        return int(cursor.fetchone()[0])


def test_what_somebody_holds_makes_no_plan_of_its_own(site: Place) -> None:
    kept = plans_kept(site)
    for number in range(3):
        more = RegisteredModel.objects.create(slug=f"more-{number}", name="More", created_by=site.dana)
        building._grant(RegisteredModelUserGrant, site.dana, "data_scientist", more)
        assert plans_kept(site) == kept


def test_deployments_are_listed_to_whoever_sees_the_handoff_or_answers_for_them(site: Place) -> None:
    handoff = Handoff.objects.order_by("pk")[0]
    of = {"handoff": handoff, "model": handoff.model, "version": handoff.version, "environment": handoff.target}
    live = Deployment.objects.create(order=1, state="live", live_at=timezone.now(), **of)
    for who, sees in (("dana", True), ("otto", True), ("mallory", False)):
        expected = [str(live.pk)] if sees else []
        assert over_the_api(site, who, "/api/v1/deployments/") == expected
        page = walking.client_of(site.people[who]).get("/deployments/").context
        assert [str(one.pk) for one in page["page"]] == [str(row.deployment.pk) for row in page["live"]] == expected
