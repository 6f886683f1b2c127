"""Lists by cursor: no offset to run deep, no count to pay for."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer


class ByCursor(CursorPagination):
    """Fifty a page, two hundred at most; each list names its own ordering."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "-pk"


def page_of(request: Request, found: QuerySet[Any], out: type[BaseSerializer[Any]], *, ordering: str) -> Response:
    """Answer with one page of a list: {"next", "previous", "results"}."""
    pages = ByCursor()
    pages.ordering = (ordering, "-pk" if ordering.startswith("-") else "pk")  # type: ignore[assignment]
    rows = pages.paginate_queryset(found.order_by(*pages.ordering), request)
    return pages.get_paginated_response(out(rows or [], many=True).data)
