"""Whether a checklist item is met, why not, and who can clear it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from handoff.rules.automatic import KNOWN, Situation
from handoff.rules.checklists import ChecklistItem, Included
from handoff.rules.figures import meets


@dataclass(frozen=True, slots=True)
class AnswerFact:
    """The latest answer to an item. `evidence` names the kinds that were attached, `figures` those that were given.

    `people` are all who answered the item, each by key and name with their own latest choice. `reopened` says why the
    answer does not count any more: it is too old, or its evidence is damaged.
    """

    choice: str
    person: int
    evidence: tuple[str, ...] = ()
    entitled: bool = True
    figures: tuple[float, ...] = ()
    people: tuple[tuple[int, str, str], ...] = ()
    reopened: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be said of an item: why it is not met (nothing: it is), which role can clear it, who answered."""

    why: str
    role: str
    by: tuple[str, ...] = ()


def judge_item(item: ChecklistItem, answer: AnswerFact | None, now: Situation, title: str) -> Judged:
    """Judge one item that is asked. `title` is the role's, in words."""
    if item.fact:
        known = KNOWN[item.fact]
        return Judged(known.why(now), known.role)
    by = tuple(name for _, name, choice in answer.people if choice == answer.choice) if answer else ()
    return Judged(_why(item, answer, title), item.role, by if item.two_people else ())


def _why(item: ChecklistItem, answer: AnswerFact | None, title: str) -> str:
    if answer is None:
        return f"{title} has not answered"
    if answer.reopened:
        return answer.reopened
    if item.two_people and (differing := _differing(answer)):
        return differing
    if answer.choice == "no" and not item.scored:
        return "was answered no"
    if answer.choice == "yes":
        if item.evidence and not set(answer.evidence) & set(item.evidence):
            return f"needs evidence: {' or '.join(item.evidence)}"
        if item.figure and not any(meets(item.figure, figure) for figure in answer.figures):
            return f"the figure must be {item.figure}"
    alone = item.two_people and len({person for person, _, _ in answer.people}) < 2
    return "a second person must answer alike" if alone else ""


def _differing(answer: AnswerFact) -> str:
    other = [f"another says {choice.replace('_', ' ')}" for *_, choice in answer.people if choice != answer.choice]
    return f"the answers differ: {'; '.join(dict.fromkeys(other))}" if other else ""


def choices_of(answers: Mapping[str, AnswerFact]) -> dict[str, str]:
    """Return the answers that decide what else is asked; one that was reopened decides nothing."""
    return {key: answer.choice for key, answer in answers.items() if not answer.reopened}


def score_of(items: Iterable[ChecklistItem], answers: Mapping[str, AnswerFact]) -> dict[str, float]:
    """Return the score of each section of scored items: the sum of the figures that back a yes."""
    found: dict[str, float] = {}
    for item in items:
        if item.scored:
            answer = answers.get(item.key)
            found.setdefault(item.section, 0.0)
            if answer is not None and answer.choice == "yes" and not answer.reopened:
                found[item.section] += sum(answer.figures[:1])
    return found


def short_of(included: Included, items: Sequence[ChecklistItem], answers: Mapping[str, AnswerFact]) -> str:
    """Return why a template's score is too low, naming its lowest section; nothing if it is high enough."""
    scores = score_of([item for item in items if item.template == included.template], answers)
    if not scores or min(scores.values()) >= included.least:
        return ""
    section = min(scores, key=lambda one: scores[one])
    return f"{section} has {scores[section]:g}, and the lowest section must have {included.least:g}"
