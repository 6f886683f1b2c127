"""Whether the database has the schema that this code was written for. A newer one is good, an older one is not."""

import logging
import time
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from celery import bootsteps
from django.db import DatabaseError, connection

log = logging.getLogger(__name__)
PACKAGES = ("audit", "models_registry", "handoff", "mdlc_site")
PAUSE = 2.0


class SchemaOlder(Exception):
    """Say that migrations of this code have not run."""


def pending() -> list[str]:
    """Return the migrations of ours that the database lacks; by their names, for no migration need be loaded."""
    wanted = {
        (name, one.name) for name in PACKAGES for one in iter_modules(import_module(f"{name}.migrations").__path__)
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations WHERE app = ANY(%s)", [list(PACKAGES)])
        return sorted(f"{app}.{name}" for app, name in wanted.difference(cursor.fetchall()))


def wait(sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until the database can be asked, and lacks nothing."""
    while words := _lacking():
        log.warning("the worker takes no work yet: %s", words)
        sleep(PAUSE)


def _lacking() -> str:
    try:
        names = pending()
    except DatabaseError as error:
        return f"the database does not answer: {error}"
    finally:
        connection.close()
    return f"{', '.join(names)} has not run; run manage.py migrate" if names else ""


class Step(bootsteps.Step):
    """The part of a worker that lets it take no work from a database that is older than its code."""

    def create(self, parent: Any) -> None:
        """Wait for the schema, before anything is claimed: a job that fails on it would use up its attempts."""
        wait()
