"""What has changed since somebody signed, before and after, from rows that are never changed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from handoff.facts import rules_of
from handoff.models import Answer, Deployment, Handoff, PolicyRevision, SignOff
from handoff.rules.reports import read
from handoff.rules.scopes import word_of

NOTHING = "nothing"
ANSWERS = {"answers": "review", "release_answers": "release", "confirm_answers": "confirm"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not what it was when somebody signed. `who` and `at` are of the latest change, if known."""

    part: str
    what: str
    before: str
    after: str
    who: str = ""
    at: datetime | None = None

    @property
    def words(self) -> str:
        """Return the part of the scope as people read it."""
        return word_of(self.part)


def changes_since(
    handoff: Handoff, signoff: SignOff, parts: Iterable[str], now: Mapping[str, str]
) -> tuple[Change, ...]:
    """Return what became of the parts of a sign-off's scope that changed, in words; `now` are the parts as they are."""
    found: list[Change] = []
    for part in parts:
        told = list(_told(handoff, signoff, part, now))
        found += told or [Change(part, word_of(part), _short(signoff.scope[part]), _short(now.get(part, "")))]
    return tuple(found)


def _told(handoff: Handoff, signoff: SignOff, part: str, now: Mapping[str, str]) -> Iterator[Change]:
    if part in ANSWERS:
        yield from _answers(handoff, signoff.signed_at, part)
    if part == "answers":
        yield from _acknowledged(handoff, signoff.signed_at)
    elif part == "deployment":
        orders = {str(one.pk): one.order for one in Deployment.objects.filter(handoff=handoff)}
        was, is_ = (orders.get(key) for key in (signoff.scope[part], now.get(part, "")))
        yield Change(part, "the order to the engine", str(was or NOTHING), str(is_ or NOTHING))
    elif part == "policy":
        both = (signoff.scope[part], now.get(part, ""))
        names = {one.digest: str(one) for one in PolicyRevision.objects.filter(digest__in=both)}
        before, after = (names.get(digest, _short(digest)) for digest in both)
        yield Change(part, "the policy", before, after)


def _answers(handoff: Handoff, since: datetime, part: str) -> Iterator[Change]:
    """Compare the answers to the items of a gate; each row stays, so the one that counted then is there."""
    questions = {item.key: item.question for item in rules_of(handoff).gate(ANSWERS[part]).checklist}
    before: dict[str, Answer] = {}
    after: dict[str, Answer] = {}
    rows = handoff.answers.select_related("answered_by").prefetch_related("evidence").order_by("pk")
    for row in rows:
        after[row.item] = row
        if row.answered_at <= since:
            before[row.item] = row
    for key, question in questions.items():
        was, is_ = before.get(key), after.get(key)
        if is_ is not None and was != is_:
            yield Change(part, question, _answer(was), _answer(is_), is_.answered_by.printed_name, is_.answered_at)


def _answer(row: Answer | None) -> str:
    if row is None:
        return NOTHING
    evidence = ", ".join(_evidence(one.label, one.figure, one.kind) for one in row.evidence.all())
    words = f"{row.get_choice_display()}{': ' if row.reason else ''}{row.reason}"
    return f"{words} ({evidence})" if evidence else words


def _evidence(label: str, figure: float | None, kind: str) -> str:
    return f"{label} {figure:g}" if kind == "figure" and figure is not None else label


def _acknowledged(handoff: Handoff, since: datetime) -> Iterator[Change]:
    names = {item.key: item.name for item in read(handoff.report)}
    rows = handoff.acknowledgements.select_related("acknowledged_by").filter(acknowledged_at__gt=since).order_by("pk")
    for row in rows:
        words = "; ".join(filter(None, ["acknowledged", row.comment, row.mitigation]))
        name = names.get(row.difference, row.difference)
        yield Change("answers", name, "not acknowledged", words, row.acknowledged_by.printed_name, row.acknowledged_at)


def _short(digest: str) -> str:
    return digest[:12] or NOTHING
