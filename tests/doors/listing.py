"""Every door of the site, read from the code: pages, operations of the API, and views and acts of the admin."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.urls import get_resolver
from django.urls.resolvers import URLResolver

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
API = "/api/v1/"
ADMIN = "/admin/"
ACT = "ACT"
FORM = "GET,POST"
FORMS = ("_add", "_change", "_delete", "password_change", "login", "logout", "admin-health")


@dataclass(frozen=True, slots=True)
class Route:
    """One address with the names of its parts, as `/models/<slug>/`, and what stands behind it."""

    path: str
    name: str
    view: Any

    @property
    def parts(self) -> list[str]:
        """Return the names between angle brackets."""
        return re.findall(r"<(\w+)>", self.path)


@dataclass(frozen=True, slots=True)
class Door:
    """One way in: a method at an address, or an act of the admin on a chosen record."""

    method: str
    route: Route
    act: str = ""

    @property
    def title(self) -> str:
        """Return what the table calls it."""
        return f"{self.method:<6} {self.route.path}" + (f" {self.act}" if self.act else "")

    @property
    def is_api(self) -> bool:
        """Tell whether it is asked with a token."""
        return self.route.path.startswith(API)


def routes(resolver: URLResolver | None = None, before: str = "/", space: str = "") -> Iterator[Route]:
    """Give every address once. A name comes with its space."""
    for one in (resolver or get_resolver()).url_patterns:
        path = before + plain(str(one.pattern))
        if isinstance(one, URLResolver):
            yield from routes(one, path, f"{one.namespace}:" if one.namespace else space)
        else:
            yield Route(path, f"{space}{one.name or ''}", one.callback)


def plain(pattern: str) -> str:
    """Return a pattern with nothing but names in it: `<uuid:handoff_id>` and `(?P<key>.+)` become `<name>`."""
    pattern = re.sub(r"<\w+:(\w+)>", r"<\1>", pattern)
    return re.sub(r"\(\?P(<\w+>)(?:\[[^\]]*\]|[^)])*\)", r"\1", pattern).replace("^", "").replace("$", "")


def site_doors(asked: Callable[[Route], Any]) -> Iterator[Door]:
    """Give every door outside of the admin; `asked` sends a request with an unknown method to a route."""
    for route in _once(routes()):
        if not route.path.startswith(ADMIN):
            yield from (Door(method, route) for method in methods_of(route, asked))


def methods_of(route: Route, asked: Callable[[Route], Any]) -> tuple[str, ...]:
    """Return the methods that an address answers: what the API's view has, else what it says to an unknown method.

    Whatever says nothing, as allauth does, is read and posted to.
    """
    view = getattr(route.view, "cls", getattr(route.view, "view_class", None))
    if route.path.startswith(API):
        return tuple(method for method in METHODS if hasattr(view, method.lower()))
    allowed = {one.strip() for one in asked(route).headers.get("Allow", FORM).split(",")}
    return tuple(method for method in METHODS if method in allowed)


def admin_doors() -> Iterator[Door]:
    """Give every door of the admin: each page, each form that is sent, and each act on a record."""
    found = list(_once(one for one in routes() if one.path.startswith(ADMIN)))
    for route in found:
        yield Door("GET", route)
        if route.name.endswith(FORMS):
            yield Door("POST", route)
    for model, act in acts():
        listed = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        yield Door(ACT, next(one for one in found if one.name == listed), act.name)


def _once(found: Iterable[Route]) -> Iterator[Route]:
    """Leave out what an earlier route of the same address hides."""
    seen: set[str] = set()
    for route in found:
        if route.path not in seen:
            seen.add(route.path)
            yield route


def acts() -> Iterator[tuple[Any, str]]:
    """Give every act of the admin with the model on whose records it is done."""
    for model, door in admin.site._registry.items():
        for act in getattr(door, "acts", ()):
            yield model, act
