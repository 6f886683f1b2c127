"""The API answers whatever is sent to it as its description says: a few requests here, many by `make fuzz`."""

import pytest
import yaml
from django.conf import settings

from tests.doors.asking import Asking
from tests.doors.conftest import FEW, SEED
from tests.doors.fuzzing import fuzz

pytestmark = pytest.mark.django_db


# What the client of schemathesis puts a large body into, it does not close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_whatever_is_sent_is_answered_as_described(asking: Asking, request: pytest.FixtureRequest) -> None:
    document = yaml.safe_load((settings.BASE_DIR / "docs/openapi.yaml").read_text())
    many, begin = (request.config.getoption(name, usual) for name, usual in (("--examples", FEW), ("--seed", SEED)))
    done = fuzz(asking, document, many, begin)
    print(done.report())
    assert done.wrong == {}
    assert done.requests > len(document["paths"]) * many / 2
    if many > FEW:  # the long run has the machine to itself
        assert done.slow == {}
