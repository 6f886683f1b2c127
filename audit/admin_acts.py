"""Acts on chosen records: the admin asks whether they are meant, then one service judges each record by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IS_POPUP_VAR
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account

MOST = 100
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Act:
    """One act of a service: an action of a list, and a button on a record's page.

    `run` takes the person, the record and the reason, and may raise Refused. `offered` tells whether to show it to an
    account, for one record, or with None for the list; whether it may be done is for the service to say.
    """

    name: str
    title: str
    does: str
    run: Callable[[Person, Any, str], object]
    offered: Callable[[Account, Any], bool]
    reason: bool = True


class Acting(ModelAdmin):
    """An admin page whose actions are acts, and nothing else: not even Django's own deletion."""

    acts: tuple[Act, ...] = ()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the acts that are offered to the asker."""
        if IS_POPUP_VAR in request.GET:
            return {}
        if not hasattr(request, "offered"):  # Django asks several times a page
            request.offered = self.acts_for(request, None)  # type: ignore[attr-defined]
        return {act.name: (_action(act), act.name, act.title) for act in request.offered}  # type: ignore[attr-defined]

    def acts_for(self, request: HttpRequest, record: Any) -> list[Act]:
        """Return the acts that are offered to the asker for one record, or for a list."""
        user = request.user
        return [act for act in self.acts if isinstance(user, Account) and act.offered(user, record)]


def _action(act: Act) -> Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    def action(door: Any, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        return carry_out(door, request, chosen, act)

    return action


def carry_out(door: ModelAdmin, request: HttpRequest, chosen: QuerySet[Any], act: Act) -> HttpResponse | None:
    """Ask first; then carry an act out on each chosen record, and tell what became of each."""
    records = list(chosen[: MOST + 1])
    if len(records) > MOST:
        door.message_user(request, f"Choose at most {MOST} at a time; nothing was done.", messages.ERROR)
        return None
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST]
    if "confirmed" not in request.POST or (act.reason and not reason):
        return _ask(door, request, records, act)
    actor = Person.at(request, "admin")
    for record in records:
        named = str(record)  # as it was: what an act ends may have no name afterwards
        try:
            act.run(actor, record, reason)
        except Refused as refusal:
            door.message_user(request, f"{named}: {refusal.message} {refusal.todo}".strip(), messages.ERROR)
        else:
            door.message_user(request, f"{named}: done, and on record under your name.", messages.SUCCESS)
    return _back(door, request, records)


def _ask(door: ModelAdmin, request: HttpRequest, records: list[Any], act: Act) -> HttpResponse:
    context = {
        **door.admin_site.each_context(request),
        "title": act.title,
        "act": act,
        "records": records,
        "checkbox": ACTION_CHECKBOX_NAME,
        "from_page": "from_page" in request.POST,
        "opts": door.model._meta,
        "reason_missing": "confirmed" in request.POST,
        "longest": LONGEST,
        "back": request.get_full_path(),
    }
    return TemplateResponse(request, "admin/confirm_act.html", context)


def _back(door: ModelAdmin, request: HttpRequest, records: list[Any]) -> HttpResponse | None:
    """Go back to the record's page, if it came from there and is still to be seen; None leads to the list."""
    if "from_page" not in request.POST or len(records) != 1:
        return None
    if not door.get_queryset(request).filter(pk=records[0].pk).exists():
        return None
    opts = door.model._meta
    return HttpResponseRedirect(reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[records[0].pk]))
