"""Long lists, a page at a time."""

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

from audit.planning import RowsByKey


class Pages(Paginator):
    """Pages of which the keys are found first, and then all that is shown of these rows alone.

    In one statement the database would put all rows together with what belongs to them before it sorts them.
    """

    def __init__(self, found: QuerySet[Any], shown: RowsByKey, per_page: int) -> None:
        """Take what is listed, in order, and the rows as they are shown."""
        super().__init__(found.values_list("pk", flat=True), per_page)
        self.shown = shown

    def page(self, number: int | str) -> Page[Any]:
        """Return one page. Raises InvalidPage."""
        found = super().page(number)
        found.object_list = self.shown(list(found.object_list))
        return found
