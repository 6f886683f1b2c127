"""Lists by cursor: no offset to run deep, no count to pay for."""

from rest_framework.pagination import CursorPagination


class ByCursor(CursorPagination):
    """Fifty a page, two hundred at most; each list names its own ordering."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "-pk"
