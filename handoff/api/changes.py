"""The population of changes over the API, as CSV."""

from collections.abc import Iterable

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import known_parameters
from audit.queries import moment
from handoff.errors import Invalid
from handoff.queries.changes import changes, rows
from handoff.rules.tables import lines


class Changes(APIView):
    """Every handoff that was offered in a period, as a table to draw a sample from."""

    @extend_schema(
        responses={(200, "text/csv"): OpenApiTypes.STR},
        parameters=[
            OpenApiParameter("since", str, required=True, description="From this date or time on."),
            OpenApiParameter("until", str, required=True, description="Before this date or time."),
        ],
        operation_id="changes_export",
    )
    def get(self, request: Request) -> HttpResponseBase:
        given = known_parameters(request, ("since", "until"))
        missing = {name: "is missing" for name in ("since", "until") if not given.get(name)}
        if missing:
            raise Invalid("Name the period.", todo="Send since and until, such as 2026-11-01.", fields=missing)
        found = changes(actor_at(request, "api").user, moment("since", given["since"]), moment("until", given["until"]))
        return as_table(lines(rows(found)), "changes.csv")


def as_table(content: Iterable[str], filename: str) -> StreamingHttpResponse:
    """Return lines of CSV as a download."""
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
