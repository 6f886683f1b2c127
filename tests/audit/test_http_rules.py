"""What doors need of HTTP, as far as it needs no database: parameters, versions, and what makes a request the same."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from audit.errors import Precondition, Refused
from audit.http import Creates, etag, fingerprint_of, known_parameters, once, origin_of, require_match
from audit.models import Account


def asked(
    path: str = "/models/", body: Any = None, form: str = "json", method: str = "post", **headers: str
) -> Request:
    """Return a request as a view gets it."""
    sent = getattr(APIRequestFactory(), method)(path, body, format=form, **headers)
    return Request(sent, parsers=[JSONParser(), MultiPartParser(), FormParser()])


def test_the_origin_is_how_a_browser_calls_the_site() -> None:
    request = APIRequestFactory().get("/", secure=True, SERVER_NAME="testserver", SERVER_PORT="8443")
    assert origin_of(request) == "https://testserver:8443"
    assert origin_of(asked()) == "http://testserver"


def test_known_parameters_are_returned_without_those_for_paging() -> None:
    told = known_parameters(
        asked("/?text=a&text=b&cursor=c&page_size=3&format=json&tier=", method="get"), ("text", "tier")
    )
    assert told == {"text": "b", "tier": ""}
    assert known_parameters(asked("/?tier=low", method="get"), iter(["text", "tier"])) == {"tier": "low"}


def test_parameters_that_nobody_reads_are_named_with_those_that_are() -> None:
    with pytest.raises(Refused) as refused:
        known_parameters(asked("/?txet=a&text=b&reit=c&cursor=d", method="get"), ["text"])
    assert (refused.value.status, refused.value.as_dict()) == (400, {
        "code": "unknown_parameter",
        "message": "There is no parameter reit, txet.",
        "todo": "Known are cursor, format, page_size, text.",
        "fields": {"reit": "is not known", "txet": "is not known"},
    })  # fmt: skip


def test_a_parameter_with_a_null_character_is_named() -> None:
    with pytest.raises(Refused) as refused:
        known_parameters(asked("/?text=a%00b&tier=low", method="get"), ["text", "tier"])
    assert (refused.value.status, refused.value.as_dict()) == (422, {
        "code": "invalid", "message": "A parameter holds a null character.", "todo": "",
        "fields": {"text": "is not text"},
    })  # fmt: skip


UNNAMED = (428, "version_required", "A change needs the version it was made against.",
           "Send If-Match with the ETag that you read.")  # fmt: skip
OLD = (412, "stale_version", "It changed after you read it; nothing was overwritten.",
       "Read it again, then repeat your change.")  # fmt: skip


@pytest.mark.parametrize(
    ("match", "why"),
    [
        (None, UNNAMED), ("", UNNAMED), (" , ", UNNAMED), ("*", UNNAMED), ("*, ", UNNAMED),
        ('"6"', OLD), ('W/"7"', OLD), ("7", OLD), ('"77"', OLD), ('*, "6"', OLD),
        ('"7"', None), ('"6" , "7"', None), ('*,"7"', None), ('"7",', None),
    ],
)  # fmt: skip
def test_a_change_names_the_version_it_was_made_against(match: str | None, why: tuple[Any, ...] | None) -> None:
    request = asked(**({} if match is None else {"HTTP_IF_MATCH": match}))
    if why is None:
        require_match(request, 7)
        return
    with pytest.raises(Precondition) as refused:
        require_match(request, 7)
    assert (refused.value.status, refused.value.code, refused.value.message, refused.value.todo) == why
    assert etag(7) == '"7"'


def upload(content: bytes = b"abc", name: str = "a.txt") -> SimpleUploadedFile:
    """Return a file that is sent."""
    return SimpleUploadedFile(name, content)


def fingerprint(request: Request) -> str:
    """Return the fingerprint of a request, whose files are closed then."""
    found = fingerprint_of(request)
    for name in request.FILES:
        for file in request.FILES.getlist(name):
            file.close()
    return found


def test_requests_that_differ_in_anything_have_other_fingerprints() -> None:
    requests = [
        asked(),
        asked("/models/?x=1"),
        asked("/others/"),
        asked(method="put"),
        asked(body={"a": 1}),
        asked(body={"a": "1"}),
        asked(body={"b": 1}),
        asked(body=[{"a": 1}]),
        asked(body={"a": 1, "b": 2}),
        asked(body={"a": "1"}, form="multipart"),
        asked(body={"b": "1"}, form="multipart"),
        asked(body={"a": ["1", "2"]}, form="multipart"),
        asked(body={"a": ["2", "1"]}, form="multipart"),
        asked(body={"a": "12"}, form="multipart"),
        asked(body={"a1": "2"}, form="multipart"),
        asked(body={"a": upload()}, form="multipart"),
        asked(body={"b": upload()}, form="multipart"),
        asked(body={"a": upload(b"abd")}, form="multipart"),
        asked(body={"a": upload(b"abc ")}, form="multipart"),
        asked(body={"a": upload(name="b.txt")}, form="multipart"),
        asked(body={"a": [upload(), upload()]}, form="multipart"),
        asked(body={"a": upload(b"x" * 100_000)}, form="multipart"),
        asked(body={"a": upload(b"x" * 99_999 + b"y")}, form="multipart"),
    ]
    found = [fingerprint(one) for one in requests]
    assert len(set(found)) == len(requests)
    assert {len(one) for one in found} == {64}


def test_requests_that_say_the_same_have_one_fingerprint() -> None:
    told = {"a": 1, "b": {"c": [1, 2], "d": None}}
    same = {"b": {"d": None, "c": [1, 2]}, "a": 1}
    assert fingerprint(asked(body=told)) == fingerprint(asked(body=same))
    parts = {"a": "1", "b": upload()}
    one, other = asked(body=parts, form="multipart"), asked(body={"b": upload(), "a": "1"}, form="multipart")
    assert fingerprint_of(one) == fingerprint(other)
    with one.data["b"] as file:
        assert file.read() == b"abc", "whoever handles the request reads the file from its beginning"


class Counting(Creates):
    """A view that counts what it creates."""

    made = 0

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Count."""
        self.made += 1
        return Response({"made": self.made, "told": [args, kwargs]})


def test_whoever_sends_no_key_or_is_nobody_creates_each_time() -> None:
    view, account = Counting(), Account(username="dana")
    for user, headers in (
        (account, {}),
        (account, {"HTTP_IDEMPOTENCY_KEY": ""}),
        (AnonymousUser(), {"HTTP_IDEMPOTENCY_KEY": "k"}),
    ):
        request = asked(body={"a": 1}, **headers)
        request.user = user
        assert view.post(request, 7, more=8).data["told"] == [(7,), {"more": 8}]
    assert view.made == 3
    with pytest.raises(NotImplementedError):
        Creates().create(asked())


@pytest.mark.parametrize("key", ["x" * 101, "tab\there", "é"])
def test_a_key_that_cannot_be_kept_is_refused(key: str) -> None:
    request = asked(HTTP_IDEMPOTENCY_KEY=key)
    request.user = Account(username="dana")
    made: list[Response] = []
    with pytest.raises(Refused) as refused:
        once(request, lambda: made.append(Response()) or made[0])
    assert (refused.value.status, refused.value.as_dict(), made) == (400, {
        "code": "key_invalid", "message": "Idempotency-Key is at most 100 printable characters.",
        "todo": "Send a random UUID.", "fields": {},
    }, [])  # fmt: skip
