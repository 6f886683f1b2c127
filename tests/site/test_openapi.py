"""The OpenAPI document is what the code says, and what is committed."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver
from drf_spectacular.validation import validate_schema
from rest_framework.views import APIView

from mdlc_site.openapi import names_used

KEPT = Path(__file__).parent.parent.parent / "docs" / "openapi.yaml"
# What those that confirm answer is a secret or good for one use, so no key may store it; questions to a personal key
# write nothing; a file of evidence is kept under the hash of its bytes, so sending it twice is sending it once.
NEVER_KEYED = {
    "token_create", "reauthenticate", "reauthenticate_by_key", "personal_key_register", "evidence_upload",
    "personal_key_ask", "sheet_ask_key", "amendment_ask_key",
}  # fmt: skip


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Generate the document."""
    path = tmp_path_factory.mktemp("openapi") / "openapi.yaml"
    call_command("spectacular", file=str(path), fail_on_warn=True)
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give every operation with its address and method."""
    for address, methods in document["paths"].items():
        for method, operation in methods.items():
            yield address, method, operation


def test_it_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate_schema(document)


def test_the_committed_one_is_up_to_date(document: dict[str, Any]) -> None:
    told = "Write it anew: python manage.py spectacular --file docs/openapi.yaml"
    assert yaml.safe_load(KEPT.read_text()) == document, told


def test_every_operation_tells_its_refusals_in_one_form(document: dict[str, Any]) -> None:
    for address, method, operation in operations(document):
        if operation["operationId"].startswith("schema"):
            continue
        refusals = {status: told for status, told in operation["responses"].items() if status >= "400"}
        assert refusals, (address, method)
        for status, told in refusals.items():
            schemas = [content["schema"] for content in told["content"].values()]
            assert schemas == [{"$ref": "#/components/schemas/Problem"}], (address, method, status)


def test_every_post_that_creates_takes_a_key(document: dict[str, Any]) -> None:
    for address, method, operation in operations(document):
        if method == "post" and "201" in operation["responses"] and operation["operationId"] not in NEVER_KEYED:
            names = [parameter["name"] for parameter in operation.get("parameters", [])]
            assert "Idempotency-Key" in names, (address, method)
            assert "Idempotent-Replay" in operation["responses"]["201"]["headers"]


def test_every_change_needs_the_version(document: dict[str, Any]) -> None:
    for address, method, operation in operations(document):
        if method == "patch":
            names = [parameter["name"] for parameter in operation["parameters"]]
            assert "If-Match" in names, address
            assert "ETag" in operation["responses"]["200"]["headers"], address
            assert {"412", "428"} <= set(operation["responses"]), address


def views(resolver: URLResolver) -> Iterator[type[APIView]]:
    """Give every view of the API."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "view_class", getattr(pattern.callback, "cls", None))
            if inspect.isclass(view) and issubclass(view, APIView):
                yield view


def test_every_list_refuses_parameters_that_nobody_reads() -> None:
    for view in views(get_resolver()):
        names = names_used(view, "get")
        assert "page_of" not in names or "known_parameters" in names, view


def test_the_page_for_trying_it_has_no_inline_script_or_style(client: Client, db: None) -> None:
    page = client.get("/api/v1/docs/")
    text = page.content.decode()
    assert page.status_code == 200
    assert "<style" not in text
    assert "style=" not in text
    assert text.count("<script ") == text.count("<script") == text.count("</script>") == 3
    assert "'self'" in page["Content-Security-Policy"]
    assert "unsafe" not in page["Content-Security-Policy"]
    script = client.get("/api/v1/docs/?script=")
    assert script["Content-Type"] == "application/javascript"
