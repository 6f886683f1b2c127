"""Names in the place of the marks that stand for them, for whoever reads what is kept with marks."""

from typing import Any

import orjson

from audit.marks import marks_in, told
from audit.models import PrintedName


def named(content: Any) -> Any:
    """Return plain JSON with the names that its marks stand for; one query if there are any marks in it."""
    marks = marks_in(orjson.dumps(content).decode())
    names = dict(PrintedName.objects.filter(pk__in=marks).values_list("pk", "name")) if marks else {}
    return told(content, names) if names else content
