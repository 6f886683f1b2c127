"""Whether this process lives, and whether it can serve."""

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mdlc_site.schema import SchemaOlder, pending


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Answer that the process runs; ask nothing else."""
    return JsonResponse({"live": True})


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer whether the process can serve. Without the broker it can: work waits as rows until it is back."""
    found = {"database": _asked(_database), "storage": _asked(_storage), "broker": _asked(_broker)}
    able = found["database"] == found["storage"] == "ok"
    return JsonResponse({"ready": able, **found}, status=200 if able else 503)


@require_safe
def security_txt(request: HttpRequest) -> HttpResponse:
    """Tell whom to write to about a weakness (RFC 9116)."""
    host = urlsplit(settings.SITE_URL).hostname
    contact = getattr(settings, "SECURITY_CONTACT", "") or f"mailto:security@{host}"
    until = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=180)
    lines = [
        f"Contact: {contact}",
        f"Expires: {until:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en",
        f"Canonical: {settings.SITE_URL}/.well-known/security.txt",
    ]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


def _asked(question: Callable[[], None]) -> str:
    """Return 'ok', or the kind of failure; the failure's own words may hold addresses."""
    try:
        question()
    except Exception as error:  # whatever it is, the answer is that it does not work
        return f"fails: {type(error).__name__}"
    return "ok"


def _database() -> None:
    """Ask for a database whose schema is not older than this code."""
    if pending():
        raise SchemaOlder


def _storage() -> None:
    if isinstance(default_storage, FileSystemStorage) or hasattr(default_storage, "base_location"):
        folder = Path(default_storage.path(""))
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"ready")
    else:
        default_storage.exists("ready")


def _broker() -> None:
    with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=0.5) as broker:
        broker.ping()
