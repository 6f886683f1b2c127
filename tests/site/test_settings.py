"""Settings come from the environment; an odd value stops the process and names the variable."""

import json
import os
import subprocess
import sys

import pytest

from handoff.listening import address_in
from mdlc_site.local.installation import ROOT

GOOD = {"PATH": os.environ["PATH"], "SECRET_KEY": "s" * 40}


def read(expression: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Import the settings in a process of their own, and print a part as JSON."""
    code = f"import json; from mdlc_site import settings; print(json.dumps({expression}, default=str))"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=GOOD | environment, capture_output=True, text=True, check=False)


def test_how_the_server_must_prove_itself_reaches_every_connection() -> None:
    url = "postgres://mdlc_app:secret@db.example.org:5433/mdlc?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    done = read("settings.DATABASES['default']", DATABASE_URL=url)
    options = json.loads(done.stdout)["OPTIONS"]
    assert options["sslmode"] == "verify-full"
    assert "statement_timeout" in options["options"]
    told = address_in({"dbname": "mdlc", "host": "db", "cursor_factory": object(), **options})
    assert told == {"dbname": "mdlc", "host": "db", "sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "short"),
        ("DEBUG", "perhaps"),
        ("ENGINE_URLS", "production=engine:8600"),
        ("ENGINE_URLS", "http://engine:8600"),
        ("MDLC_UPLOAD_LIMIT", "2GB"),
        ("MDLC_STORE", "s3:///prefix"),
        ("MDLC_STORE", "https://bucket.example.org"),
        ("MDLC_UPLOAD_LIMIT", "0"),
        ("MDLC_DB_POOL", "-1"),
        ("MDLC_REQUESTS_AT_ONCE", "0"),
        ("MDLC_JOB_LEASE", "1"),
        ("MDLC_BEHIND_PROXY", "2"),
        ("MDLC_TEST_MEMORY_MB", "1.5"),
        ("MDLC_SIGNING_KEY", "/no/such/file"),
        ("MDLC_SIGNING_KEY", "f" * 63),
    ],
)
def test_an_odd_value_stops_the_process_and_names_the_variable(name: str, value: str) -> None:
    done = read("1", **{name: value})
    assert done.returncode != 0
    assert f"ImproperlyConfigured: {name} must" in done.stderr


def test_without_a_secret_nothing_starts() -> None:
    done = read("1", SECRET_KEY="")
    assert done.returncode != 0
    assert "SECRET_KEY" in done.stderr


def test_https_makes_cookies_secure() -> None:
    names = "[settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, settings.SECURE_SSL_REDIRECT]"
    assert json.loads(read(names, SITE_URL="https://handoff.example.org").stdout) == [True, True, True]
    assert json.loads(read(names, SITE_URL="http://127.0.0.1:8000").stdout) == [False, False, False]


def test_only_the_proxys_word_on_addresses_counts() -> None:
    counted = "[settings.REST_FRAMEWORK['NUM_PROXIES'], hasattr(settings, 'SECURE_PROXY_SSL_HEADER')]"
    assert json.loads(read(counted).stdout) == [0, False]
    assert json.loads(read(counted, MDLC_BEHIND_PROXY="true").stdout) == [1, True]
