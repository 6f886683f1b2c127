"""Screenshots of the pages that matter, for the papers: `make screenshots` keeps them, the suite only takes them."""

# ruff: noqa: F401, F811 - fixtures are imported by name

from pathlib import Path
from typing import Any

import pytest

from handoff.models import Handoff
from handoff.states import State
from tests.browser.handoff_site import Open, site, visit
from tests.handoff import building, walking
from tests.handoff.building import Place

pytestmark = pytest.mark.browser
LARGEST = 300_000


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return where the pictures go."""
    given = request.config.getoption("--screenshots", "")
    found = Path(given) if given else tmp_path
    found.mkdir(parents=True, exist_ok=True)
    return found


def named(place: Place) -> None:
    """Give the model and its environments the names that they would have."""
    for record, name in ((place.model, "Tumour screening"), (place.source, "Lab notebooks"), (place.target, "Clinic")):
        record.name = name
        record.save(update_fields=["name"])


def test_screenshots(visit: Open, site: Place, folder: Path) -> None:
    named(site)
    live = walking.ready(site)
    Handoff.objects.filter(pk=live.pk).update(state=State.DEPLOYING)
    Handoff.objects.filter(pk=live.pk).update(state=State.CONFIRMING)
    Handoff.objects.filter(pk=live.pk).update(state=State.LIVE)
    handoff = walking.offered(site, building.a_version(site, 2, "other"))
    walking.answered(site, handoff)
    walking.sign(handoff, site.vera, "validation")
    page = f"/handoffs/{handoff.pk}/"
    pictures: list[tuple[str, str, str, dict[str, Any]]] = [
        ("handoff", "otto", page, {}),
        ("handoff-dark", "otto", page, {"theme": "dark"}),
        ("handoff-narrow", "otto", page, {"width": 360}),
        ("tests", "otto", f"/handoffs/{live.pk}/#promotion-tests", {}),
        ("inbox", "otto", "/", {}),
        ("board", "dana", "/handoffs/", {}),
        ("sign", "otto", f"{page}sign/acceptance/", {}),
        ("version", "dana", "/models/tumours/versions/2/", {}),
    ]
    for name, who, path, look in pictures:
        shown = visit(who, path, **look)
        shown.evaluate("document.fonts.ready")
        picture = folder / f"{name}.png"
        shown.screenshot(path=str(picture))
        assert 10_000 < picture.stat().st_size < LARGEST, name
