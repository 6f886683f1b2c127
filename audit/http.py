"""What doors need of HTTP: the origin; for REST, keys against doing twice, versions against overwriting, parameters."""

import json
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.response import Response

from audit.acts import one_transaction
from audit.errors import Invalid, Precondition, Refused
from audit.models import Account, RequestKey

KEY = "Idempotency-Key"
KEPT_HEADERS = ("ETag", "Location")


class UnknownParameter(Refused):
    """A query parameter that nobody reads."""

    code = "unknown_parameter"


class VersionRequired(Precondition):
    """A change that does not name the version it was made against."""

    status = 428
    code = "version_required"


class KeyReused(Invalid):
    """A key that came with another request before."""

    code = "key_reused"


class KeyInvalid(Refused):
    """A key that cannot be kept."""

    code = "key_invalid"


def origin_of(request: HttpRequest | Request) -> str:
    """Return the site as a browser calls it, such as https://handoff.example; its host is one of those allowed."""
    return f"{request.scheme}://{request.get_host()}"


def known_parameters(request: Request, known: Iterable[str]) -> dict[str, str]:
    """Return the filters among the query parameters. Raises UnknownParameter for one that nobody reads."""
    known = set(known)
    paging = {"cursor", "page_size", "format"}
    odd = sorted(set(request.query_params) - known - paging)
    if odd:
        raise UnknownParameter(
            f"There is no parameter {', '.join(odd)}.",
            todo="Known are " + ", ".join(sorted(known | paging)) + ".",
            fields=dict.fromkeys(odd, "is not known"),
        )
    given = {name: request.query_params[name] for name in request.query_params if name in known}
    bad = [name for name, value in given.items() if "\0" in value]
    if bad:
        raise Invalid("A parameter holds a null character.", fields=dict.fromkeys(bad, "is not text"))
    return given


def etag(revision: int) -> str:
    """Return the entity tag of a row's revision."""
    return f'"{revision}"'


def require_match(request: Request, revision: int) -> None:
    """Let a change pass that was made against the revision which is current.

    Raises VersionRequired (428) without If-Match and for `*`, which names none; Precondition (412) for an old one.
    """
    given = {tag.strip() for tag in request.headers.get("If-Match", "").split(",")} - {""}
    if not given or given == {"*"}:
        raise VersionRequired(
            "A change needs the version it was made against.", todo="Send If-Match with the ETag that you read."
        )
    if etag(revision) not in given:
        raise Precondition(
            "It changed after you read it; nothing was overwritten.",
            todo="Read it again, then repeat your change.",
        )


class Creates:
    """Carry out `create` once per Idempotency-Key when the view is posted to."""

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Create the thing and return the answer."""
        raise NotImplementedError

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer a POST."""
        return once(request, lambda: self.create(request, *args, **kwargs))


def once(request: Request, create: Callable[[], Response]) -> Response:
    """Carry out a creating request once per Idempotency-Key, and replay the answer when it is sent again.

    The key is written in the transaction of the act: both are kept, or neither. A second request with the key waits
    for the first one and gets its answer; another content under the same key is refused; a refusal keeps nothing.
    """
    key = request.headers.get(KEY, "")
    user = request.user
    if not key or not isinstance(user, Account):
        return create()
    if len(key) > 100 or not (key.isascii() and key.isprintable()):
        raise KeyInvalid(f"{KEY} is at most 100 printable characters.", todo="Send a random UUID.")
    fingerprint = fingerprint_of(request)
    return (
        _replayed(user, key, fingerprint)
        or _carried_out(user, key, fingerprint, create)
        or _replayed(user, key, fingerprint)
        or _vanished()
    )


def fingerprint_of(request: Request) -> str:
    """Return the SHA-256 over method, path and content of a request; files count by their bytes."""
    found = sha256()

    def add(text: str) -> None:
        encoded = text.encode()
        found.update(len(encoded).to_bytes(8, "big") + encoded)

    add(f"{request.method} {request.get_full_path()}")
    data: Any = request.data
    if not hasattr(data, "lists"):
        add(json.dumps(data, sort_keys=True, default=str))
        return found.hexdigest()
    for name, values in sorted(data.lists()):
        for value in values:
            add(name)
            if hasattr(value, "chunks"):
                add(f"{value.name} {value.size}")
                for chunk in value.chunks():
                    found.update(chunk)
                value.seek(0)
            else:
                add(str(value))
    return found.hexdigest()


def _carried_out(user: Account, key: str, fingerprint: str, create: Callable[[], Response]) -> Response | None:
    """Carry out the request beside its key; return None when a twin was first."""
    try:
        with one_transaction():
            with transaction.atomic():
                kept = RequestKey.objects.create(
                    account=user, key=key, fingerprint=fingerprint, status=102, answer={}
                )  # a twin waits here until we commit
            response = create()
            headers = {name: response[name] for name in KEPT_HEADERS if response.has_header(name)}
            kept.status = response.status_code
            kept.answer = {"headers": headers, "body": json.dumps(response.data, default=str)}  # as text: in its order
            kept.save(update_fields=["status", "answer"])
            return response
    except IntegrityError as error:
        if "request_key_once" not in str(error):
            raise
        return None


def _replayed(user: Account, key: str, fingerprint: str) -> Response | None:
    """Return the kept answer to a request that was carried out; None when there is none."""
    kept = RequestKey.objects.filter(account=user, key=key).first()
    if kept is None:
        return None
    if kept.fingerprint != fingerprint:
        raise KeyReused("This key was used for another request.", todo="Choose a new key for a new request.")
    headers = {**kept.answer["headers"], "Idempotent-Replay": "true"}
    return Response(json.loads(kept.answer["body"]), status=kept.status, headers=headers)


def _vanished() -> Response:
    """Refuse when the twin's key was there and is gone, as when keys are cleared just now."""
    raise Refused("The first request under this key left no answer.", code="key_retry", todo="Send it again.")
