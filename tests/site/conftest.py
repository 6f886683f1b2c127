"""People and clients for the site's own doors."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.models import Account

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def no_attempts(request: pytest.FixtureRequest) -> None:
    """Forget how often somebody has tried, as far as the test has a database."""
    if {"db", "transactional_db", "live_server"} & set(request.fixturenames):
        request.getfixturevalue("transactional_db" if "live_server" in request.fixturenames else "db")
        cache.clear()


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Hash passwords quickly: how well they are hashed is Django's affair."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def person(db: None) -> Callable[..., Account]:
    """Return a function that makes a person with a password."""

    def make(username: str = "dana", **more: object) -> Account:
        return Account.objects.create_user(username, password=PASSWORD, **more)

    return make


@pytest.fixture
def dana(person: Callable[..., Account]) -> Account:
    """Return a person."""
    return person("dana", first_name="Dana", last_name="Novak", title="Data scientist")


@pytest.fixture
def robot(dana: Account) -> Account:
    """Return a service account that Dana answers for."""
    return Account.objects.create_user("robot", kind=Account.Kind.SERVICE, responsible=dana, password=PASSWORD)


def bearer(account: Account) -> str:
    """Return the header that signs an account in."""
    return f"Bearer {AuthToken.objects.create(user=account)[1]}"


@pytest.fixture
def client_of() -> Callable[[Account], APIClient]:
    """Return a function that gives an API client for an account."""

    def make(account: Account) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=bearer(account))
        return client

    return make
