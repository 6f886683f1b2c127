"""Publish checklists of the site's own. Policies copy what they include, so that a later revision changes none."""

from audit.actors import Person
from audit.acts import act
from audit.trail import record
from handoff.access import require_administrator
from handoff.errors import WrongState
from handoff.models import ChecklistTemplateRevision
from handoff.rules.checklist_templates import read_template, templates


@act
def publish(*, actor: Person, source: str) -> ChecklistTemplateRevision:
    """Publish the YAML of a checklist as its next revision, to be included by policies that are published after it.

    Raises Forbidden for who is no administrator, Invalid with every mistake by its place, and WrongState for the name
    of a checklist of the product and for the text that is published already.
    """
    require_administrator(actor.user, "publish a checklist")
    template = read_template(source)
    if template.key in templates():
        raise WrongState(
            f"{template.key} is a checklist of the product.",
            code="checklist_built_in",
            todo="Give yours another short name under 'template'.",
        )
    latest = ChecklistTemplateRevision.objects.filter(key=template.key).order_by("-number").first()
    if latest is not None and latest.digest == template.digest:
        raise WrongState("This text is the published revision already.", code="checklist_unchanged")
    revision = ChecklistTemplateRevision.objects.create(
        key=template.key,
        number=latest.number + 1 if latest else 1,
        title=template.title,
        source=source,
        digest=template.digest,
        published_by=actor.user,
    )
    record(
        "checklist.published",
        actor=actor,
        on=revision,
        chain="site",
        data={"template": template.key, "revision": revision.number, "digest": template.digest},
    )
    return revision
