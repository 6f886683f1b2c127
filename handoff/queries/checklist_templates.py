"""The checklist templates that a policy may include: those of the product, and the newest of the site's own."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from handoff.errors import Hidden
from handoff.models import ChecklistTemplateRevision
from handoff.rules.checklist_templates import Template, read_template, templates
from handoff.rules.policies import PolicyRules, understood

_read = lru_cache(maxsize=256)(read_template)


def own_templates() -> dict[str, ChecklistTemplateRevision]:
    """Return the newest revision of each checklist of the site's own, by its key."""
    newest = ChecklistTemplateRevision.objects.select_related("published_by").order_by("key", "-number")
    return {one.key: one for one in newest.distinct("key")}


def all_templates() -> dict[str, Template]:
    """Return what a policy may include now, by its key."""
    return beside(own_templates())


def beside(own: Mapping[str, ChecklistTemplateRevision]) -> dict[str, Template]:
    """Return checklists of the site's own with those of the product, which nothing takes the place of."""
    read = {key: _read(one.source) for key, one in own.items()}
    return dict(sorted((read | templates()).items()))


def template_of(key: str) -> tuple[Template, list[ChecklistTemplateRevision]]:
    """Return a template and its revisions, the newest first; one of the product has none. Raises Hidden."""
    if key in templates():
        return templates()[key], []
    found = ChecklistTemplateRevision.objects.select_related("published_by").filter(key=key).order_by("-number")
    revisions = list(found)
    if not revisions:
        raise Hidden("There is no such checklist.")
    return _read(revisions[0].source), revisions


def newest_source(key: str) -> str:
    """Return the YAML of the newest revision of a checklist of the site's own, or nothing."""
    found = ChecklistTemplateRevision.objects.filter(key=key).order_by("-number").first()
    return found.source if found else ""


def policy_in(source: str) -> tuple[dict[str, Any], PolicyRules]:
    """Return the content of a policy's YAML and its rules, with the templates there are now. Raises Invalid."""
    return understood(source, all_templates)
