"""How the admin shows what a record holds: states, people, digests and JSON, and filters that give nothing away."""

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.names import named

Column = Any  # a function of a record; the types of Django's fieldsets know only names
SHORT = 12


def seen(path: str) -> tuple[str, type[admin.RelatedOnlyFieldListFilter]]:
    """Return a filter that offers only what the rows that the asker may see belong to."""
    return path, admin.RelatedOnlyFieldListFilter


def state(name: str, title: str = "") -> Column:
    """Return a column that shows a choice as a badge."""

    def column(record: Any) -> SafeString:
        words = getattr(record, f"get_{name}_display")()
        return format_html('<span class="m-state" data-state="{}">{}</span>', getattr(record, name), words)

    return _named(column, name, title or name.replace("_", " "), ordering=name)


def person(name: str, title: str = "") -> Column:
    """Return a column that shows an account by the name that is printed beside a signature."""

    def column(record: Any) -> str:
        account = getattr(record, name)
        return account.printed_name if account else "–"

    return _named(column, name, title or name.replace("_", " "), ordering=f"{name}__first_name")


def digest(name: str, title: str = "", *, whole: bool = False) -> Column:
    """Return a column that shows a digest, or its beginning."""

    def column(record: Any) -> SafeString | str:
        value = getattr(record, name)
        return format_html('<code class="m-digest">{}</code>', value if whole else value[:SHORT]) if value else "–"

    return _named(column, f"{name}_whole" if whole else name, title or name.replace("_", " "), ordering=name)


def folded(name: str, title: str = "") -> Column:
    """Return a field that shows JSON, or a long text, behind a fold."""

    def column(record: Any) -> SafeString | str:
        value = named(getattr(record, name))
        if value in (None, "", [], {}):
            return "–"
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        lines = len(text.splitlines())
        size = f"{lines} lines" if lines > 1 else f"{len(text)} characters"
        return format_html(
            '<details><summary>{}</summary><pre class="m-text" tabindex="0">{}</pre></details>', size, text
        )

    return _named(column, f"{name}_text", title or name.replace("_", " "))


def text(name: str, title: str = "", *, code: bool = False) -> Column:
    """Return a field that shows a text as it was written, its lines kept."""
    form = '<pre class="m-text" tabindex="0">{}</pre>' if code else '<div class="m-words">{}</div>'

    def column(record: Any) -> SafeString | str:
        value = getattr(record, name)
        return format_html(form, value) if value else "–"

    return _named(column, f"{name}_text", title or name.replace("_", " "))


def _named(column: Callable[[Any], Any], name: str, title: str, *, ordering: str | None = None) -> Column:
    column.__name__ = name
    return admin.display(description=title, ordering=ordering)(column)
