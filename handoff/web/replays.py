"""Contract replays of a handoff in the browser: order one, follow it, read what it found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit.actors import Person
from handoff.errors import Hidden, Invalid, Refused
from handoff.facts import known_of
from handoff.in_force import bindings_of
from handoff.models import Replay
from handoff.queries.handoffs import fetch
from handoff.queries.replays import replays_of, sources_of
from handoff.replayed import moved_since
from handoff.services import replays
from handoff.states import OPEN, JobState, State
from handoff.web.doors import Form, account_of, go, page

A_PAGE = 10
UNDER_WAY = (JobState.QUEUED, JobState.RUNNING)
TONES = {"equal": "good", "not_equal": "bad", "failed": "bad"}


@dataclass(frozen=True, slots=True)
class Told:
    """One replay as it is shown: a headline, each field that differs, what is equal, and what moved since."""

    replay: Replay
    under_way: bool
    headline: str
    fields: list[Mapping[str, Any]]
    equal: list[str]
    sides: list[tuple[str, Mapping[str, Any]]]
    moved: list[str]

    @property
    def tone(self) -> str:
        """Return the tone of the headline."""
        return TONES.get(self.replay.outcome, "wait")


@page("GET")
def index(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Show the replays of a handoff, the newest first, and the form that orders one."""
    return _show(request, handoff_id)


@page("POST")
def order(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Order a replay."""
    typed = request.POST
    try:
        inputs, outputs = (_tolerances(name, typed.get(name, "")) for name in ("tolerances", "output_tolerances"))
        replays.order(
            actor=Person.at(request, "web"),
            handoff_id=handoff_id,
            creation=typed.get("creation", ""),
            production=typed.get("production", ""),
            keys=typed.get("keys", "").replace(",", " ").split(),
            tolerances=inputs,
            output_tolerances=outputs or None,
        )
    except Hidden:
        raise
    except Refused as refusal:
        return _show(request, handoff_id, Form("replay", typed, refusal))
    messages.success(request, "The replay is ordered. The target's engine reads both sources now.")
    return go("handoff-replays", handoff_id)


def _show(request: HttpRequest, handoff_id: UUID, form: Form | None = None) -> HttpResponse:
    user = account_of(request)
    handoff = fetch(user, handoff_id)
    shown = Paginator(replays_of(user, handoff_id), A_PAGE).get_page(request.GET.get("page"))
    moved, known = moved_since(handoff, list(shown)), known_of(handoff)
    rows = [_told(one, moved[one.number]) for one in shown]
    context = {
        "handoff": handoff,
        "page": shown,
        "rows": rows,
        "follows": any(row.under_way for row in rows),
        "sources": sources_of(handoff),
        "bound": str(bindings_of(handoff).get("input", {}).get("stream", "")),
        "may_order": handoff.state in (*OPEN, State.LIVE) and any(known.holds(user.pk, role) for role in replays.MAY),
        "form": form,
    }
    return render(request, "handoff/replays/index.html", context, status=form.problem.status if form else 200)


def _told(replay: Replay, moved: list[str]) -> Told:
    report = replay.report or {}
    fields = [(one, one["field"]) for one in report.get("fields", [])]
    answers = (report.get("predictions") or {}).get("fields", [])
    fields += [(one, f"{one['field']} (prediction)") for one in answers]
    under_way = not replay.outcome and replay.job.state in UNDER_WAY
    return Told(
        replay=replay,
        under_way=under_way,
        headline=_headline(replay, under_way=under_way),
        fields=[{**one, "name": name} for one, name in fields if one["differing"]],
        equal=[name for one, name in fields if not one["differing"]],
        sides=[(name, report[name]) for name in ("creation", "production") if name in report],
        moved=moved if replay.outcome else [],
    )


def _headline(replay: Replay, *, under_way: bool) -> str:
    if replay.report is not None:
        return f"{replay.get_outcome_display()}: {replay.report.get('compared', 0)} records compared"
    if replay.outcome:
        return str(replay.get_outcome_display())
    return "under way" if under_way else "never carried out"


def _tolerances(place: str, text: str) -> dict[str, list[float]]:
    """Read lines of field=absolute or field=absolute,relative. Raises Invalid."""
    found = {}
    for line in filter(None, (one.strip() for one in text.splitlines())):
        name, _, numbers = line.partition("=")
        absolute, _, relative = numbers.partition(",")
        try:
            found[name.strip()] = [float(absolute), float(relative or 0)]
        except ValueError:
            words = f"cannot be read: {line[:100]}; write field=0.001 or field=0.001,0.01"
            raise Invalid("A tolerance has a field and a number.", fields={place: words}) from None
    return found
