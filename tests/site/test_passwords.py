"""No password is made of the words of the organisation."""

from typing import Any

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from tests.handoff import building

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _words(settings: Any) -> None:
    settings.SITE_URL = "https://handoff.riverside.example"
    settings.PASSWORD_WORDS = ["Lighthouse"]
    building.a_place()


@pytest.mark.parametrize(
    "password", ["riverside2026??", "handoff-Workbench-1", "LIGHTHOUSE 12345", "model-production-7"]
)
def test_a_password_of_words_of_the_organisation_is_refused(password: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validate_password(password)
    assert "words of this organisation" in str(refused.value)


@pytest.mark.parametrize("password", ["correct horse battery staple", "a workbench for blue whales", "t7Kp-qm2V_x9Lw"])
def test_another_one_may_hold_such_a_word(password: str) -> None:
    validate_password(password)
