"""Read policies and their revisions."""

from handoff.errors import Hidden
from handoff.models import Policy, PolicyRevision


def all_revisions() -> list[tuple[Policy, list[PolicyRevision]]]:
    """Return every policy with its revisions, the newest first."""
    found: dict[int, tuple[Policy, list[PolicyRevision]]] = {}
    rows = PolicyRevision.objects.select_related("policy", "published_by").order_by("policy__title", "-number")
    for revision in rows:
        found.setdefault(revision.policy_id, (revision.policy, []))[1].append(revision)
    return list(found.values())


def revision_of(slug: str, number: int) -> PolicyRevision:
    """Return one revision. Raises Hidden."""
    found = (
        PolicyRevision.objects.select_related("policy", "published_by").filter(policy__slug=slug, number=number).first()
    )
    if found is None:
        raise Hidden("There is no such policy revision.")
    return found


def newest_source(slug: str) -> str:
    """Return the YAML of a policy's newest revision, or nothing."""
    found = PolicyRevision.objects.filter(policy__slug=slug).order_by("-number").first()
    return found.source if found else ""
