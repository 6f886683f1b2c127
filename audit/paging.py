"""Lists by cursor: no offset to run deep, no count to pay for."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from audit.planning import RowsByKey, planned_once


class ByCursor(CursorPagination):
    """Fifty a page, two hundred at most; each list names its own ordering."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "-pk"


def page_of(
    request: Request,
    found: QuerySet[Any],
    out: type[BaseSerializer[Any]],
    *,
    ordering: str,
    shown: RowsByKey | None = None,
) -> Response:
    """Answer with one page of a list: {"next", "previous", "results"}.

    With `shown`, the rows as they are told, only the keys of a page are looked for among what is `found`. Without it
    `found` is asked in the same words whatever somebody holds, for its statement is planned once.
    """
    pages = ByCursor()
    pages.ordering = (ordering, "-pk" if ordering.startswith("-") else "pk")  # type: ignore[assignment]
    ordered = found.order_by(*pages.ordering)
    if shown is None:
        with planned_once():
            rows: list[Any] = pages.paginate_queryset(ordered, request) or []
    else:
        keys = pages.paginate_queryset(ordered.values("pk", ordering.lstrip("-")), request) or []
        rows = shown([one["pk"] for one in keys])
    return pages.get_paginated_response(out(rows, many=True).data)
