"""Hear of new jobs as they are committed, on a connection that is nobody else's."""

from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection


def ear() -> psycopg.Connection[Any]:
    """Open a connection of its own that hears of new jobs; a pooled one might be taken away."""
    told = address_in(connection.get_connection_params())
    found = psycopg.connect(autocommit=True, connect_timeout=5, keepalives_idle=5, keepalives_interval=2, **told)
    found.execute("LISTEN job")
    return found


def address_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the database is, as whom to come, and how it must prove itself; limits on statements stay out."""
    known = {"dbname", "user", "password", "host", "port", "target_session_attrs"}
    return {key: value for key, value in given.items() if key in known or key.startswith("ssl")}
