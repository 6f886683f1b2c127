"""The conditions of an approval, as they come from a form."""

from django.http import HttpRequest

from handoff.models import SignOff

NAMES = ("text", "due", "owner")


def conditions_in(request: HttpRequest) -> list[dict[str, str]]:
    """Return the conditions that were typed; rows that were left empty are none."""
    if request.POST.get("decision") != SignOff.Decision.CONDITIONAL:
        return []
    columns = [request.POST.getlist(f"condition_{name}") for name in NAMES]
    rows = [dict(zip(NAMES, row, strict=True)) for row in zip(*columns, strict=False)]
    return [row for row in rows if row["text"].strip() or row["due"].strip()]
