"""What is attacked: the site of the doors, or handoffs whose work waits, once for all tests of a file."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.doors.asking import Asking
from tests.doors.conftest import for_a_file, settle
from tests.doors.standing import ROLES, standing
from tests.handoff import walking
from tests.handoff.building import Place


@pytest.fixture(scope="module")
def asking(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """Give the site with all its people; each request is taken back."""
    with for_a_file(django_db_blocker, tmp_path_factory.mktemp("attacks")):
        site = standing()
        settle()
        yield Asking(site)


@pytest.fixture(scope="module")
def place(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give a model, its environments and its people under the light policy."""
    with for_a_file(django_db_blocker, tmp_path_factory.mktemp("attacks")):
        found = walking.a_site()
        settle()
        yield found


@pytest.fixture(scope="module")
def signed_in(asking: Asking) -> Asking:
    """Let everybody come in, in the browser and with a token, before the first attack."""
    for who in (*ROLES, "olga"):
        for api in (False, True):
            asking.client(who, api=api)
    return asking
