"""Prometheus reads the same condition as the page."""

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from handoff.models import Job
from mdlc_site.condition import Part
from mdlc_site.metrics import exposition
from tests.handoff import walking

SAMPLE = re.compile(r'(mdlc_site_\w+)\{part="((?:[^"\\]|\\.)*)"(?:,figure="(\w+)")?\} (-?[0-9.e+]+)')


@pytest.mark.django_db
def test_the_command_tells_what_waits_and_what_is_bad(settings: Any, tmp_path: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    settings.STORE = str(tmp_path)
    told = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = {**settings.STORAGES, "default": told}
    walking.under_test(walking.a_site())
    out = StringIO()
    call_command("metrics", stdout=out)
    lines = [line for line in out.getvalue().splitlines() if not line.startswith("#")]
    found = {match.groups()[:3]: float(match[4]) for match in map(SAMPLE.fullmatch, lines) if match}
    assert len(found) == len(lines)
    assert found["mdlc_site_condition", "broker", None] == 2
    assert found["mdlc_site_condition", "database", None] == 0
    assert found["mdlc_site_figure", "queue tests", "waiting"] == 7
    oldest = min(Job.objects.values_list("queued_at", flat=True))
    assert found["mdlc_site_figure", "queue tests", "oldest"] == int(oldest.timestamp())
    assert found["mdlc_site_figure", "migrations", "pending"] == 0


def test_words_are_no_figures_and_names_are_escaped() -> None:
    figures = {"key": "k1", "none": None, "due": "2026-11-29T00:00:00+00:00"}
    text = exposition([Part('a "b"\n\\c', "late", "words", figures)])
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    named = r'part="a \"b\"\n\\c"'
    assert lines == [
        f"mdlc_site_condition{{{named}}} 1",
        f'mdlc_site_figure{{{named},figure="due"}} 1795910400.0',
    ]
