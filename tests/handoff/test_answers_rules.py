"""Whether a checklist item is met, why not, and what a template's items score: by what was answered, and by whom."""

from itertools import product

import pytest

from handoff.rules.answers import AnswerFact, Judged, choices_of, judge_item, score_of, short_of
from handoff.rules.automatic import Situation
from handoff.rules.checklists import ChecklistItem, Included

VERA, RITA, OTTO = (1, "Vera"), (2, "Rita"), (3, "Otto")
ASKED = ChecklistItem("tried", "Tried?", "validator")
BACKED = ChecklistItem("tried", "Tried?", "validator", evidence=("file", "link"))
MEASURED = ChecklistItem("tried", "Tried?", "validator", evidence=("figure",), figure=">= 0.8")
TWICE = ChecklistItem("tried", "Tried?", "validator", two_people=True)
SCORED = ChecklistItem("tried", "Tried?", "validator", scored=True)
COMPUTED = ChecklistItem("same", "The same?", "", fact="differences.none_undeclared")


def said(*by: tuple[tuple[int, str], str]) -> AnswerFact:
    """Return the answer that several people gave, the last of them latest."""
    (person, _), choice = by[-1]
    return AnswerFact(choice, person, people=tuple((*who, what) for who, what in by))


def why(item: ChecklistItem, answer: AnswerFact | None) -> str:
    """Return why an item is not met, which nothing of the situation bears on."""
    return judge_item(item, answer, Situation(undeclared=("tools.hardware",)), "Validator").why


@pytest.mark.parametrize(
    ("item", "answer", "expected"),
    [
        (ASKED, None, "Validator has not answered"),
        (ASKED, AnswerFact("yes", 1), ""),
        (ASKED, AnswerFact("not_applicable", 1), ""),
        (ASKED, AnswerFact("no", 1), "was answered no"),
        (ASKED, AnswerFact("yes", 1, reopened="too old"), "too old"),
        (ASKED, AnswerFact("no", 1, reopened="too old"), "too old"),
        (SCORED, AnswerFact("no", 1), ""),
        (SCORED, None, "Validator has not answered"),
        (BACKED, AnswerFact("yes", 1), "needs evidence: file or link"),
        (BACKED, AnswerFact("yes", 1, ("test",)), "needs evidence: file or link"),
        (BACKED, AnswerFact("yes", 1, ("test", "link")), ""),
        (BACKED, AnswerFact("not_applicable", 1), ""),
        (BACKED, AnswerFact("no", 1), "was answered no"),
        (MEASURED, AnswerFact("yes", 1, ("figure",)), "the figure must be >= 0.8"),
        (MEASURED, AnswerFact("yes", 1, ("figure",), figures=(0.79,)), "the figure must be >= 0.8"),
        (MEASURED, AnswerFact("yes", 1, ("figure",), figures=(0.8,)), ""),
        (MEASURED, AnswerFact("yes", 1, ("figure",), figures=(0.9, 0.7)), ""),
        (MEASURED, AnswerFact("yes", 1, figures=(0.9,)), "needs evidence: figure"),
        (MEASURED, AnswerFact("not_applicable", 1), ""),
    ],
)
def test_an_item_is_met_by_a_yes_with_what_backs_it(
    item: ChecklistItem, answer: AnswerFact | None, expected: str
) -> None:
    assert why(item, answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (said((VERA, "yes")), "a second person must answer alike"),
        (said((VERA, "no")), "was answered no"),
        (said((VERA, "not_applicable")), "a second person must answer alike"),
        (said((VERA, "yes"), (RITA, "yes")), ""),
        (said((VERA, "yes"), (RITA, "yes"), (OTTO, "yes")), ""),
        (said((VERA, "not_applicable"), (RITA, "not_applicable")), ""),
        (said((VERA, "no"), (RITA, "no")), "was answered no"),
        (said((VERA, "no"), (RITA, "yes")), "the answers differ: another says no"),
        (said((VERA, "yes"), (RITA, "no")), "the answers differ: another says yes"),
        (said((VERA, "no"), (OTTO, "no"), (RITA, "yes")), "the answers differ: another says no"),
        (
            said((VERA, "no"), (OTTO, "not_applicable"), (RITA, "yes")),
            "the answers differ: another says no; another says not applicable",
        ),
    ],
)
def test_two_people_must_answer_alike_where_an_item_says_so(answer: AnswerFact, expected: str) -> None:
    assert why(TWICE, answer) == expected
    alone = "was answered no" if answer.choice == "no" else ""
    assert why(ASKED, answer) == alone, "elsewhere the latest answer counts, whoever gave it"


def test_a_second_person_does_not_stand_for_evidence() -> None:
    item = ChecklistItem("tried", "Tried?", "validator", evidence=("file",), two_people=True)
    assert why(item, said((VERA, "yes"), (RITA, "yes"))) == "needs evidence: file"


def test_who_answered_alike_is_told_of_an_item_for_two() -> None:
    answer = said((VERA, "no"), (RITA, "yes"), (OTTO, "yes"))
    told = "the answers differ: another says no"
    assert judge_item(TWICE, answer, Situation(), "Validator") == Judged(told, "validator", ("Rita", "Otto"))
    assert judge_item(ASKED, answer, Situation(), "Validator") == Judged("", "validator")
    assert judge_item(TWICE, None, Situation(), "Validator") == Judged("Validator has not answered", "validator")


def test_a_computed_item_is_judged_by_its_fact_whatever_was_answered() -> None:
    differs = Situation(undeclared=("tools.hardware",))
    for answer in (None, AnswerFact("yes", 1), AnswerFact("no", 1)):
        assert judge_item(COMPUTED, answer, differs, "Validator") == Judged(
            "undeclared: tools.hardware", "it_operations"
        )
        assert judge_item(COMPUTED, answer, Situation(), "Validator") == Judged("", "it_operations")


def test_an_answer_that_was_reopened_decides_nothing() -> None:
    answers = {"a": AnswerFact("yes", 1), "b": AnswerFact("no", 1, reopened="too old"), "c": AnswerFact("no", 2)}
    assert choices_of(answers) == {"a": "yes", "c": "no"}


def test_a_section_scores_the_first_figure_of_each_yes_that_holds() -> None:
    """Over two items of one section beside an item of another, and one that is not scored."""
    items = [
        ChecklistItem("a", "A?", "validator", section="Data", scored=True),
        ChecklistItem("b", "B?", "validator", section="Data", scored=True),
        ChecklistItem("m", "M?", "validator", section="Model", scored=True),
        ChecklistItem("x", "X?", "validator", section="Data"),
    ]
    answers: list[tuple[AnswerFact | None, float]] = [
        (None, 0.0),
        (AnswerFact("yes", 1), 0.0),
        (AnswerFact("no", 1, figures=(8.0,)), 0.0),
        (AnswerFact("not_applicable", 1, figures=(8.0,)), 0.0),
        (AnswerFact("yes", 1, figures=(8.0,), reopened="too old"), 0.0),
        (AnswerFact("yes", 1, figures=(0.5,)), 0.5),
        (AnswerFact("yes", 1, figures=(1.0, 8.0)), 1.0),
    ]
    for (one, first), (other, second) in product(answers, answers):
        given = {"a": one, "b": other, "x": AnswerFact("yes", 1, figures=(16.0,))}
        found = score_of(items, {key: answer for key, answer in given.items() if answer is not None})
        assert found == {"Data": first + second, "Model": 0.0}
    assert score_of(items[3:], {"x": AnswerFact("yes", 1, figures=(16.0,))}) == {}


def test_a_template_is_short_by_its_lowest_section() -> None:
    """Items of another template count for that one alone; what scores nothing is never short."""
    items = [
        ChecklistItem("d", "D?", "validator", section="Data", scored=True, template="ours"),
        ChecklistItem("m", "M?", "validator", section="Model", scored=True, template="ours"),
        ChecklistItem("o", "O?", "validator", section="Other", scored=True, template="theirs"),
    ]
    answers = {key: AnswerFact("yes", 1, figures=(n,)) for key, n in (("d", 2.0), ("m", 1.5), ("o", 0.0))}
    for least, told in (
        (1.4, ""),
        (1.5, ""),
        (1.6, "Model has 1.5, and the lowest section must have 1.6"),
        (3.0, "Model has 1.5, and the lowest section must have 3"),
    ):
        assert short_of(Included("ours", "Ours", "d", least), items, answers) == told
    theirs = "Other has 0, and the lowest section must have 1"
    assert short_of(Included("theirs", "Theirs", "d", 1.0), items, answers) == theirs
    assert short_of(Included("nobody's", "None", "d", 1.0), items, answers) == ""
