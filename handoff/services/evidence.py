"""Hash stored evidence again, and raise findings where it is damaged, or too old for a live model."""

from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from audit.actors import Worker
from audit.acts import act
from audit.trail import record
from handoff.facts import known_of, rules_of
from handoff.models import Damage, Evidence, Finding, Handoff
from handoff.raising import Wrong, reconcile, standing
from handoff.standing import made_good
from handoff.states import UNDER_OFFER, State
from models_registry.store import verify


def stored() -> list[str]:
    """Return the digests of all files that back an answer or closed a finding."""
    answers = Evidence.objects.filter(kind=Evidence.Kind.FILE).values_list("blob_id", flat=True)
    proofs = Finding.objects.filter(proof_kind=Finding.Proof.FILE).values_list("proof_blob_id", flat=True)
    return sorted({str(digest) for digest in answers.union(proofs)})


def rehash(*, actor: Worker, digest: str) -> bool:
    """Hash one stored file again, and keep what is found; tell whether that is news."""
    whole = verify(digest)
    open_ = Damage.objects.filter(blob=digest, mended_at=None)
    if whole != open_.exists():
        return False
    return _mend(actor=actor, digest=digest) if whole else _damaged(actor=actor, digest=digest)


@act
def _damaged(*, actor: Worker, digest: str) -> bool:
    _, made = Damage.objects.get_or_create(blob_id=digest, mended_at=None)
    if made:
        record("evidence.damaged", actor=actor, on=f"blob:{digest}", chain="site", data={"sha256": digest})
    return made


@act
def _mend(*, actor: Worker, digest: str) -> bool:
    mended = bool(Damage.objects.filter(blob=digest, mended_at=None).update(mended_at=timezone.now()))
    if mended:
        record("evidence.mended", actor=actor, on=f"blob:{digest}", chain="site", data={"sha256": digest})
    return mended


def damaged() -> int:
    """Return how many stored files are not what they were."""
    return Damage.objects.filter(mended_at=None).count()


def watched() -> QuerySet[Handoff]:
    """Return the handoffs whose evidence matters now: those under offer, and the live ones."""
    return Handoff.objects.filter(state__in=[*UNDER_OFFER, State.LIVE]).order_by("pk")


def look(*, actor: Worker, handoff_id: UUID | str) -> list[Finding]:
    """Raise a finding for each answer of a watched handoff that does not count any more; return those raised.

    Before it is live, an answer that is too old is only asked again; damage is a finding at any time. A finding closes
    by itself when the bytes are back or the item was answered anew. Most looks find nothing new, and lock nothing.
    """
    handoff = watched().filter(pk=handoff_id).first()
    if handoff is None or _wrong(handoff).keys() == standing(handoff, Finding.Kind.EVIDENCE).keys():
        return []
    return _settle(actor=actor, handoff_id=handoff_id)


@act
def _settle(*, actor: Worker, handoff_id: UUID | str) -> list[Finding]:
    handoff = Handoff.objects.select_for_update().get(pk=handoff_id)
    return reconcile(handoff, Finding.Kind.EVIDENCE, _wrong(handoff), actor=actor)


def _wrong(handoff: Handoff) -> dict[str, Wrong]:
    """Return the answers that do not count any more, and why, without those that somebody has made good for."""
    facts, rules = known_of(handoff).facts, rules_of(handoff)
    items = {item.key: item for gate in rules.gates.values() for item in gate.checklist}
    reopened = {key: fact.reopened for key, fact in facts.answers.items() if fact.reopened and key in items}
    if not reopened:
        return {}
    suspends = handoff.state == State.LIVE and rules.drift == "suspend"
    rows = handoff.answers.filter(item__in=reopened).select_related("answered_by__responsible")
    latest = {one.item: one for one in rows.order_by("pk")}
    found = {}
    for key, why in reopened.items():
        answer, days = latest[key], items[key].valid_days
        late = why.startswith("the answer is older")
        if (late and handoff.state != State.LIVE) or made_good(handoff, answer, days):
            continue
        sentence = f"{items[key].question} {why[0].upper()}{why[1:]}"
        severity = Finding.Severity.MEDIUM if late else Finding.Severity.HIGH
        who = answer.answered_by if answer.answered_by.is_person else answer.answered_by.responsible
        found[f"answer:{answer.pk}"] = Wrong(sentence, severity, who, suspends, {"item": key})
    return found
