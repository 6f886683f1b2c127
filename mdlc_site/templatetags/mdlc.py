"""Tags for every template: icons, digests, times, initials."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import lucide.templatetags.lucide as lucide_tags
from django import template
from django.template.defaultfilters import date as date_filter
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
UNITS = ((31_536_000, "year"), (2_592_000, "month"), (86_400, "day"), (3600, "hour"), (60, "minute"))


@lru_cache(maxsize=256)
def _icon(name: str, size: int) -> str:
    return str(lucide_tags.lucide(name, size=size, **{"aria-hidden": "true", "focusable": "false"}))


@register.simple_tag
def icon(name: str, size: int = 18) -> SafeString:
    """Draw an icon of the Lucide set; it is decoration, and hidden from readers."""
    return mark_safe(_icon(name, size))  # noqa: S308 - the library's own SVG, without input of ours


@register.filter
def short(digest: str) -> str:
    """Return the first twelve digits of a digest."""
    return str(digest)[:12]


@register.filter
def initials(person: Any) -> str:
    """Return the initials of a person's printed name."""
    name = getattr(person, "printed_name", str(person))
    return "".join(part[0] for part in name.split()[:2]).upper()


@register.filter
def when(moment: datetime | None) -> str:
    """Return a time as people say it, with the exact one on demand."""
    if moment is None:
        return "—"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        date_filter(moment.astimezone(timezone.get_default_timezone()), "j F Y, H:i:s T"),
        _ago(moment),
    )


def _ago(moment: datetime) -> str:
    seconds = (timezone.now() - moment).total_seconds()
    for length, unit in UNITS:
        count = int(abs(seconds) // length)
        if count:
            words = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now" if seconds >= 0 else "in a moment"


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """Return this page's query string with some parameters replaced; None takes one away."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        parameters.pop(name, None)
        if value is not None:
            parameters[name] = str(value)
    encoded = parameters.urlencode()
    return f"?{encoded}" if encoded else "?"


@register.simple_tag(takes_context=True)
def here(context: template.Context, prefix: str) -> str:
    """Return the attribute that marks the part of the site one is in."""
    request = context.get("request")
    path = request.path if request else ""
    inside = path == prefix if prefix == "/" else path.startswith(prefix)
    return mark_safe('aria-current="page"') if inside else ""
