"""Lead times and returns in the browser: bars for a period, the last ninety days unless another is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from audit.queries import moment
from handoff.errors import Invalid
from handoff.models import Return
from handoff.queries.lead_times import lead_times
from handoff.rules.lead_times import STEPS, Count, LeadTimes, Time, in_words
from handoff.web.doors import account_of, page

USUAL = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it is of, its length of a hundred, and what stands beside it."""

    label: str
    length: int
    words: str
    more: str = ""


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """Show the figures of a period."""
    today = timezone.now().date()
    usual = {"since": (today - USUAL).isoformat(), "until": (today + timedelta(days=1)).isoformat()}
    typed = {name: request.GET.get(name, "").replace("\0", "").strip() or usual[name] for name in usual}
    try:
        found = lead_times(account_of(request), moment("since", typed["since"]), moment("until", typed["until"]))
    except Invalid as refusal:
        return render(request, "handoff/lead_times/index.html", {"typed": typed, "problem": refusal}, status=422)
    return render(request, "handoff/lead_times/index.html", {"typed": typed, "found": found, **_charts(found)})


def _charts(found: LeadTimes) -> dict[str, object]:
    """Return what is drawn: times by their medians, counts by their numbers."""
    return {
        "steps": _times([*found.steps, found.whole]),
        "teams": [(team, in_words(team.median)) for team in found.teams],
        "charts": [
            ("Returned because of", _counts(found.reasons, {one.value: str(one.label) for one in Return.Reason})),
            ("Returned from", _counts(found.returned_from, STEPS)),
            ("Returned most often", _counts(found.bounced[:10], {})),
        ],
    }


def _times(times: Sequence[Time]) -> list[Bar]:
    longest = max((one.median or 0.0 for one in times), default=0.0)
    return [
        Bar(
            one.label,
            _length(one.median or 0.0, longest),
            in_words(one.median),
            f"nine in ten within {in_words(one.ninth)}, {one.count} done" if one.count else "none done",
        )
        for one in times
    ]


def _counts(found: Sequence[Count], labels: Mapping[str, str]) -> list[Bar]:
    most = max((one.number for one in found), default=0)
    return [Bar(labels.get(one.name, one.name), _length(one.number, most), str(one.number)) for one in found]


def _length(value: float, longest: float) -> int:
    """Return a length of a hundred; what is there at all shows."""
    return max(round(100 * value / longest), 1) if value and longest else 0
