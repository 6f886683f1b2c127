"""Ask a door as somebody, take back whatever it did, and tell what became of the request."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from typing import Any

from django.contrib import admin, messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.db.models import DateTimeField
from django.test import Client, RequestFactory
from django.urls import reverse
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.models import TreeHead
from models_registry.models import Environment, ModelVersion
from tests.doors.bodies import ASKED_WITH, body_of, state_for
from tests.doors.listing import ACT, Door, Route, acts
from tests.doors.standing import absent, parts_of
from tests.handoff import walking
from tests.queries.counting import Site

# Kept by signing in and looking around, and by nothing that anybody does.
ASIDE = ("django_session", "knox_authtoken", "mdlc_cache", "axes_", "django_admin_log")
WRITING = re.compile(r'\s*(?:WITH .*)?\b(?:INSERT INTO|(?<!FOR )UPDATE|DELETE FROM|COPY) "?(\w+)', re.DOTALL)
MASKED = re.compile(r'\b[A-Za-z0-9]{64}\b|nonce="[^"]*"')
DRAFT_VERSION = 20
ON_DRAFTS = ("version-element", "version-infer", "version-nominate", "version-discard", "api:element PUT",
             "api:element DELETE", "api:version-infer", "api:version-nominate", "api:version-discard")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one request: the word for the table, all that was said, and what was written to."""

    word: str
    text: str
    written: list[str]

    @property
    def refused(self) -> bool:
        """Tell whether somebody was kept out."""
        return self.word in ("login", "403", "404", "no")

    def without(self, path: str) -> "Told":
        """Return it without what only says where it was asked, and what a form's own protection adds."""
        return replace(self, text=MASKED.sub("", self.text.replace(path, "")))


@dataclass
class Writes:
    """The tables that a request writes to, whether or not it takes that back itself."""

    tables: set[str] = field(default_factory=set)

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Note what a statement writes to, and carry it out."""
        found = WRITING.match(sql)
        if found is not None and not found[1].startswith(ASIDE):
            self.tables.add(found[1])
        return execute(sql, params, many, context)


@dataclass
class Asking:
    """The site with everybody's clients. Each request is taken back, so that every one finds the same site."""

    site: Site
    clients: dict[str, Client] = field(default_factory=dict)
    records: dict[Any, list[Any]] = field(default_factory=dict)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def client(self, who: str, *, api: bool = False) -> Client:
        """Return somebody's browser, or their client of the API with a real token."""
        kind = APIClient if api else Client
        key = f"{kind.__name__} {who}"
        if key not in self.clients:
            self.clients[key] = self._made(who, kind)
            self.clients[key].raise_request_exception = False
        return self.clients[key]

    def _made(self, who: str, kind: type[Client]) -> Client:
        account = self.site.place.people.get(who)
        if account is None:
            return kind()
        if kind is Client:
            return walking.client_of(account)
        return APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=account)[1]}"})

    def path(self, door: Door, *, real: bool = True) -> str:
        """Return an address that leads to something that is there, or to nothing."""
        route = door.route
        state = state_for(route.name)
        if state not in self.parts:
            self.parts[state] = parts_of(self.site, self.site.handoffs[state])
        there = self.parts[state] | self._of_admin(route)
        there |= {"slug": "light" if "polic" in route.path else "production" if "env" in route.path else "tumours"}
        if f"{route.name} {door.method}".startswith(ON_DRAFTS):
            there["number"] = DRAFT_VERSION
        if {"environment", "finding_id"} <= set(route.parts):
            there["finding_id"] = self.site.place.target.findings.get().pk
        if route.name == "api:version-compatibility":
            there["number"] = 2
        path = route.path
        for part in route.parts:
            path = path.replace(f"<{part}>", str(there[part] if real else absent(part, there[part])))
        names = {"live": self.site.handoffs["live"].pk, "sealed": TreeHead.objects.latest("size").size}
        return path + (ASKED_WITH.get(route.name, "").format(**names) if door.method == "GET" else "")

    def _of_admin(self, route: Route) -> dict[str, Any]:
        """Return the record at which a page of the admin is opened: the first that olga sees, or that there is."""
        named = route.path.split("/")
        known = {model._meta.label_lower: one for model, one in admin.site._registry.items()}
        door = known.get(".".join(named[2:4]))
        if door is None:
            return {"content_type_id": 1, "object_id": 1}
        first = next(iter(self._seen(door)), None) or door.model._default_manager.first()
        return {"object_id": first.pk if first is not None else 1}

    def _seen(self, door: Any) -> list[Any]:
        """Return the records that olga sees: those first that most of the staff see, and by name and time.

        Keys are drawn by chance, so by them it would be another record each time.
        """
        if door.model not in self.records:
            seen: dict[str, set[Any]] = {}
            for who in ("olga", "ada", "sam"):
                request = RequestFactory().get("/")
                request.user = self.site.place.people[who]
                seen[who] = set(door.get_queryset(request))
            times = [one.attname for one in door.model._meta.fields if isinstance(one, DateTimeField)]

            def place(one: Any) -> tuple[Any, ...]:
                return (-sum(one in rows for rows in seen.values()), str(one), *(str(getattr(one, at)) for at in times))

            self.records[door.model] = sorted(seen["olga"], key=place)
        return self.records[door.model]

    def chosen(self, door: Door) -> dict[str, Any]:
        """Return the record on which an act of the admin is tried: one at which olga is offered it, or one she sees."""
        olga = self.site.place.people["olga"]
        model, act = next((m, a) for m, a in acts() if a.name == door.act and reverse_list(m) == door.route.path)
        seen = self._seen(admin.site._registry[model])
        best = next((one for one in seen if act.offered(olga, one)), seen[0] if seen else None)
        return {"_selected_action": [str(best.pk if best else 0)]}

    def ask(self, who: str, door: Door, path: str, body: dict[str, Any] | None = None) -> Told:
        """Send one request, take back what it did, and tell what became of it."""
        client, writes = self.client(who, api=door.is_api), Writes()
        with as_it_was(client):
            with connection.execute_wrapper(writes):
                answer = self._send(client, door, path, self.body(door) if body is None else body)
            text = b"".join(answer.streaming_content) if answer.streaming else answer.content
            after = {table: content_of(table) for table in writes.tables}
        written = [table for table, content in after.items() if content != content_of(table)]
        return Told(word_for(door, answer), text.decode(errors="replace"), written)

    def body(self, door: Door) -> dict[str, Any]:
        """Return what is sent to a writing door."""
        return self.chosen(door) if door.method == ACT else body_of(door.route.name, door.method)

    def _send(self, client: Client, door: Door, path: str, body: dict[str, Any]) -> Any:
        if door.method == ACT:
            return client.post(path, {"action": door.act, "confirmed": "yes", "reason": "because", **body})
        send = getattr(client, door.method.lower())
        if door.method == "GET":
            return send(path)
        if not door.is_api:
            return send(path, body)
        if door.route.name == "api:handoff-evidence":
            return send(path, {"file": SimpleUploadedFile("x.txt", b"x")} if body else {}, format="multipart")
        return send(path, body, format="json", HTTP_IF_MATCH=self._revision(door.route.name))

    def _revision(self, name: str) -> str:
        """Return the tag of the revision that is current, so that nothing is refused for want of it."""
        found: Any = ModelVersion.objects.get(number=DRAFT_VERSION)
        if name == "api:environment":
            found = Environment.objects.get(slug="production")
        if name == "api:handoff":
            found = self.site.handoffs["draft"]
        return f'"{1 if name in ("api:stream", "api:consumer", "api:model") else found.revision}"'


def reverse_list(model: Any) -> str:
    """Return the address of a model's list in the admin."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@contextmanager
def as_it_was(client: Client) -> Iterator[None]:
    """Take back what a request does to the database, and to the browser that sends it."""
    cookies = client.cookies.output(header="", sep=";")
    with taken_back():
        yield
    client.cookies = SimpleCookie(cookies)


@contextmanager
def taken_back() -> Iterator[None]:
    """Take back what is done to the database."""
    undone = transaction.atomic()
    undone._from_testcase = True  # as the test's own: acts insist on a transaction that they end
    with undone:
        yield
        transaction.set_rollback(True)


def content_of(table: str) -> str:
    """Return a digest of all rows of a table."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM {table} t")
        return str(cursor.fetchone()[0])


def _said(answer: Any) -> list[int]:
    return [one.level for one in messages.get_messages(answer.wsgi_request)._queued_messages]


def word_for(door: Door, answer: Any) -> str:
    """Return what the table says of an answer."""
    status, to = answer.status_code, answer.headers.get("Location", "")
    if status == 401 or (status in (302, 303) and to.startswith(("/account/login/", "/admin/login/"))):
        return "login"
    if door.method == ACT and status < 400:
        return "ok" if messages.SUCCESS in _said(answer) else "no"
    if door.method == "POST" and status in (302, 303) and messages.ERROR in _said(answer):
        return "no"  # and why, on the page that follows
    if status == 302 and door.route.parts and to == reverse("admin:index"):
        return "404"  # the admin tells so by leading away
    return "ok" if status < 400 else str(status)
