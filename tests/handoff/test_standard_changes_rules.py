"""Of which kind a change is, on facts alone: each thing that speaks against a small one, each limit on both sides."""

from dataclasses import replace
from typing import Any

import pytest

from engine.thresholds import METRICS
from handoff.rules.change_facts import ChangeFact, MeasuredFact
from handoff.rules.policies import Gate, SignOffRule
from handoff.rules.reading import Reader
from handoff.rules.standard_changes import (
    Judged,
    MetricLimits,
    StandardRules,
    bound_of,
    judge,
    kept,
    read_retrain,
    read_standard_change,
    scope_of,
    united,
)

SIGNERS = {"review": ("it_operations",), "release": ("it_operations",)}
RULES = StandardRules(
    SIGNERS,
    {"roc_auc": MetricLimits(worse_by=0.01), "rmse": MetricLimits(worse_by_percent=10)},
    aspects=("tools.hardware",),
    at_most=2,
    within_days=90,
)
LIVE = MeasuredFact("order 3", 3, "c" * 64, {"roc_auc": 0.9, "rmse": 4.0})
REVIEWED = MeasuredFact("order 1", 1, "a" * 64, {"roc_auc": 0.895, "rmse": 4.25})
CHANGE = ChangeFact(
    live=LIVE,
    reviewed=REVIEWED,
    number=1,
    days=12.7,
    elements=("model", "golden"),
    same_bindings=True,
    same_policy=True,
    pipeline="f" * 64,
    retrained_from=3,
    figures={"roc_auc": 0.89, "rmse": 4.4},
)


def reasons(change: ChangeFact, rules: StandardRules = RULES, kind: str = "standard") -> tuple[str, ...]:
    """Return why a change is of no kind for which fewer sign; nothing if it is of this one."""
    judged = judge({kind: rules}, change)
    assert judged.lighter == (judged.kind == kind)
    assert judged.kind in (kind, "full")
    return () if judged.lighter else judged.reasons


def test_a_small_change_is_told_with_all_that_speaks_for_it() -> None:
    assert judge({"standard": RULES}, CHANGE) == Judged(
        "standard",
        (
            "schemas and bindings are those of version 3, which is live",
            "of its elements, what differs is model, golden",
            "roc_auc was 0.9 and is 0.89, within the policy's limits; 0.895 when it was last reviewed in full",
            "rmse was 4 and is 4.4, within the policy's limits; 4.25 when it was last reviewed in full",
            "it is change 2 of at most 2 since version 1 was reviewed in full, 12 of at most 90 days ago",
        ),
    )


def test_a_retrain_is_told_with_where_it_comes_from() -> None:
    first = replace(CHANGE, reviewed=LIVE, number=0, elements=())
    assert judge({"retrain": RULES}, first) == Judged(
        "retrain",
        (
            "schemas and bindings are those of version 3, which is live",
            "it retrains version 3 by the same pipeline, ffffffffffff",
            "of its elements, what differs is nothing",
            "roc_auc was 0.9 and is 0.89, within the policy's limits",
            "rmse was 4 and is 4.4, within the policy's limits",
            "it is change 1 of at most 2 since version 3 was reviewed in full, 12 of at most 90 days ago",
        ),
    )


def test_before_its_tests_have_ended_a_change_is_one_so_far() -> None:
    """Whatever is known by then speaks for it or against it, and its figures do not yet."""
    open_ = replace(CHANGE, figures=None, elements=("model", "input_schema"))
    assert reasons(open_) == ("the input schema is not that of the live version",)
    assert judge({"standard": RULES}, replace(open_, elements=("model",))) == Judged(
        "standard",
        (
            "schemas and bindings are those of version 3, which is live",
            "of its elements, what differs is model",
            "roc_auc, rmse must stay within the policy's limits once measured, or all sign",
            "it is change 2 of at most 2 since version 1 was reviewed in full, 12 of at most 90 days ago",
        ),
        open_=True,
    )


@pytest.mark.parametrize(
    ("kinds", "change", "why"),
    [
        ({}, CHANGE, "the policy knows no standard change"),
        ({"standard": RULES}, None, "the policy knows no standard change"),
        (
            {"standard": RULES},
            replace(CHANGE, live=None),
            "nothing is live in the target that it could be compared with",
        ),
        (
            {"standard": RULES},
            replace(CHANGE, reviewed=None),
            "nothing is live in the target that it could be compared with",
        ),
        ({"standard": RULES}, replace(CHANGE, recorded="full"), "it went live with all signatures"),
    ],
)
def test_what_there_is_nothing_to_judge_of_is_a_full_one(
    kinds: dict[str, StandardRules], change: ChangeFact | None, why: str
) -> None:
    assert judge(kinds, change) == Judged("full", (why,))


def test_what_went_live_stays_of_the_kind_under_which_it_did() -> None:
    """Whatever the policy says and whatever is live by now."""
    gone = replace(CHANGE, live=None, against=("the live version is suspended",))
    for kind, why in (
        ("standard", "it went live as a standard change"),
        ("retrain", "it went live as a retrain"),
    ):
        assert judge({"standard": RULES}, replace(gone, recorded=kind)) == Judged(kind, (why,))
        assert judge({}, replace(gone, recorded=kind)) == Judged(kind, (why,))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"against": ("the live version is suspended", "x")}, ("the live version is suspended", "x")),
        ({"same_policy": False}, ("the live version was reviewed under another policy, or another revision of it",)),
        ({"number": 1}, ()),
        ({"number": 2}, ("2 changes in a row went live with fewer signatures, and the policy allows 2",)),
        ({"days": 90.0}, ()),
        ({"days": 91.5}, ("the last full review is 91 days ago, and the policy allows 90",)),
        ({"elements": ("model", "golden")}, ()),
        ({"elements": ("runtime",)}, ("the runtime is not that of the live version",)),
        (
            {"elements": ("thresholds", "output_schema")},
            ("the thresholds is not that of the live version", "the output schema is not that of the live version"),
        ),
        ({"other_pipeline": True}, ("the pipeline that trained it is not that of the live version",)),
        ({"same_bindings": False}, ("the bindings are not those of the live version",)),
        ({"differs": (("tools.hardware", "Hardware"),)}, ()),
        (
            {"differs": (("tools.hardware", "Hardware"), ("people.owner", "Owner"))},
            ("Owner differs from what was signed for the live version (people.owner)",),
        ),
        ({"figures": {"rmse": 4.0}}, ("roc_auc was not measured",)),
        ({"figures": {}}, ("roc_auc was not measured", "rmse was not measured")),
        (
            {"live": replace(LIVE, figures={"rmse": 4.0})},
            ("roc_auc of the live version 3 is not on record",),
        ),
        (
            {"reviewed": replace(REVIEWED, figures={"roc_auc": 0.9})},
            ("rmse of version 1, the last that was fully reviewed is not on record",),
        ),
        ({"pipeline": "", "retrained_from": 0}, ()),
    ],
)
def test_each_thing_that_is_otherwise_speaks_against_it(more: dict[str, Any], why: tuple[str, ...]) -> None:
    assert reasons(replace(CHANGE, **more)) == why
    assert reasons(replace(CHANGE, figures=None, **{k: v for k, v in more.items() if k not in BY_FIGURES})) == (
        why if not BY_FIGURES & more.keys() else ()
    )


BY_FIGURES = {"figures", "live", "reviewed"}


def test_all_that_speaks_against_it_is_told() -> None:
    change = replace(
        CHANGE, against=("it is suspended",), same_policy=False, number=9, days=99, elements=("runtime",),
        other_pipeline=True, same_bindings=False, differs=(("people.owner", "Owner"),), figures={"rmse": 9.0},
    )  # fmt: skip
    assert reasons(change) == (
        "it is suspended",
        "the live version was reviewed under another policy, or another revision of it",
        "9 changes in a row went live with fewer signatures, and the policy allows 2",
        "the last full review is 99 days ago, and the policy allows 90",
        "the runtime is not that of the live version",
        "the pipeline that trained it is not that of the live version",
        "the bindings are not those of the live version",
        "Owner differs from what was signed for the live version (people.owner)",
        "roc_auc was not measured",
        "rmse is worse by 5.0 than 4.0 of the live version 3, and may be by 10 %",
        "rmse is worse by 4.75 than 4.25 of version 1, the last that was fully reviewed, and may be by 10 %",
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, ()),
        ({"retrained_from": 1}, ()),
        (
            {"retrained_from": 2},
            ("it retrains version 2, which is neither live here nor the last that was reviewed",),
        ),
        ({"retrained_from": 0}, ("the version does not say that it retrains another one",)),
        ({"pipeline": ""}, ("the version does not say by which pipeline it was trained",)),
    ],
)
def test_a_retrain_says_by_which_pipeline_and_from_which_version_it_was_trained(
    more: dict[str, Any], why: tuple[str, ...]
) -> None:
    assert reasons(replace(CHANGE, **more), kind="retrain") == why
    assert reasons(replace(CHANGE, **more)) == ()


def test_the_first_kind_that_fits_is_that_of_the_change_else_all_kinds_tell_why_they_do_not() -> None:
    strict = replace(RULES, at_most=1)
    both = {"retrain": RULES, "standard": RULES}
    assert judge(both, CHANGE).kind == "retrain"
    assert judge(both, replace(CHANGE, pipeline="")).kind == "standard"
    assert judge({"retrain": strict, "standard": RULES}, CHANGE).kind == "standard"
    assert judge(both, replace(CHANGE, pipeline="", same_bindings=False)).reasons == (
        "as a retrain: the bindings are not those of the live version",
        "as a retrain: the version does not say by which pipeline it was trained",
        "the bindings are not those of the live version",
    )


def moved(name: str, limits: MetricLimits, before: float, now: float) -> tuple[str, ...]:
    """Return what speaks against a change of one metric from what it was in the live version."""
    live = replace(LIVE, figures={name: before})
    change = replace(CHANGE, live=live, reviewed=live, figures={name: now})
    return reasons(change, replace(RULES, metrics={name: limits}))


@pytest.mark.parametrize(
    ("name", "limits", "before", "at_limit", "beyond", "told"),
    [
        ("f1", MetricLimits(worse_by=0.01), 0.9, 0.89, 0.8899, "worse by 0.0101 than that of {}, and may be by 0.01"),
        ("f1", MetricLimits(better_by=0.05), 0.9, 0.95, 0.96, "better by 0.06 than that of {}, and may be by 0.05"),
        ("mae", MetricLimits(worse_by=0.5), 4.0, 4.5, 4.6, "worse by 0.6 than that of {}, and may be by 0.5"),
        ("mae", MetricLimits(better_by=0.5), 4.0, 3.5, 3.4, "better by 0.6 than that of {}, and may be by 0.5"),
        ("f1", MetricLimits(worse_by=0), 0.9, 0.9, 0.8, "worse by 0.1 than that of {}, and may be by 0"),
        ("f1", MetricLimits(worse_by_percent=10), 0.9, 0.81, 0.8, "worse by 0.1 than 0.9 of {}, and may be by 10 %"),
        ("f1", MetricLimits(better_by_percent=5), 0.8, 0.84, 0.85, "better by 0.05 than 0.8 of {}, and may be by 5 %"),
        ("r2", MetricLimits(worse_by_percent=50), -0.2, -0.3, -0.4, "worse by 0.2 than -0.2 of {}, and may be by 50 %"),
        ("rmse", MetricLimits(worse_by_percent=50), 3.0, 4.5, 4.6, "worse by 1.6 than 3.0 of {}, and may be by 50 %"),
        ("rmse", MetricLimits(better_by_percent=50), 3.0, 1.5, 1.4, "better by 1.6 than 3.0 of {}, and may be by 50 %"),
        ("rmse", MetricLimits(worse_by_percent=0), 3.0, 3.0, 3.1, "worse by 0.1 than 3.0 of {}, and may be by 0 %"),
    ],
)
def test_a_metric_may_move_to_its_limit_and_no_further(
    name: str, limits: MetricLimits, before: float, at_limit: float, beyond: float, told: str
) -> None:
    """Worse is downwards, or upwards where lower is better; the other way only what is said of better counts."""
    assert moved(name, limits, before, at_limit) == ()
    assert moved(name, limits, before, beyond) == (f"{name} is {told.format('the live version 3')}",)
    assert moved(name, limits, before, before) == ()
    assert moved(name, limits, before, 2 * before - beyond) == ()


@pytest.mark.parametrize(
    ("limits", "now", "why"),
    [
        (MetricLimits(minimum=0.8, maximum=0.95), 0.8, ()),
        (MetricLimits(minimum=0.8, maximum=0.95), 0.95, ()),
        (MetricLimits(minimum=0.8, maximum=0.95), 0.799, ("f1 is 0.799, and must be at least 0.8",)),
        (MetricLimits(minimum=0.8, maximum=0.95), 0.951, ("f1 is 0.951, and may be at most 0.95",)),
        (MetricLimits(minimum=0.8), 0.99, ()),
        (MetricLimits(maximum=0.95), 0.1, ()),
        (MetricLimits(), -5.0, ()),
    ],
)
def test_a_metric_stays_inside_its_bounds(limits: MetricLimits, now: float, why: tuple[str, ...]) -> None:
    assert moved("f1", limits, 0.9, now) == why


def test_a_metric_is_compared_with_the_live_version_and_the_reviewed_one_once_where_they_are_the_same() -> None:
    far = replace(CHANGE, figures={"roc_auc": 0.8, "rmse": 4.0})
    told = "roc_auc is worse by {} than that of {}, and may be by 0.01".format
    live, reviewed = told("0.1", "the live version 3"), told("0.095", "version 1, the last that was fully reviewed")
    assert reasons(far) == (live, reviewed)
    assert reasons(replace(far, reviewed=LIVE)) == (live,)
    drifted = replace(CHANGE, figures={"roc_auc": 0.9, "rmse": 4.0})
    assert reasons(replace(drifted, reviewed=replace(REVIEWED, figures={"roc_auc": 0.92, "rmse": 4.0}))) == (
        told("0.02", "version 1, the last that was fully reviewed"),
    )


@pytest.mark.parametrize(
    ("judged", "lighter", "title"),
    [
        (Judged("full", ()), False, "A full handoff: all sign"),
        (Judged("full", (), open_=True), False, "A full handoff: all sign"),
        (Judged("standard", ()), True, "Standard change: fewer signatures"),
        (Judged("standard", (), open_=True), True, "Standard change so far: fewer signatures"),
        (Judged("retrain", ()), True, "Retrain: fewer signatures"),
        (Judged("retrain", (), open_=True), True, "Retrain so far: fewer signatures"),
    ],
)
def test_a_kind_has_a_title(judged: Judged, lighter: bool, title: str) -> None:
    assert (judged.lighter, judged.title) == (lighter, title)


def test_what_few_sign_covers_the_kind_and_what_it_is_compared_with() -> None:
    """Of a full one there is nothing to cover, nor where nothing is known to compare with."""
    small = Judged("standard", ())
    assert scope_of(small, CHANGE) == {
        "change": {"kind": "standard", "live": "order 3", "reviewed": "order 1", "number": 2}
    }
    assert scope_of(Judged("retrain", ()), CHANGE)["change"]["kind"] == "retrain"
    for judged, change in (
        (Judged("full", ()), CHANGE),
        (small, None),
        (small, replace(CHANGE, live=None)),
        (small, replace(CHANGE, reviewed=None)),
    ):
        assert scope_of(judged, change) == {}


# As a policy says it

GATES = {
    "review": Gate(
        "review",
        signoffs=(
            SignOffRule("validation", "validator", "review"),
            SignOffRule("look", "model_owner", "review", advisory=True),
            SignOffRule("risk", "risk_compliance", "approval", required_above="low"),
            SignOffRule("two", "", "approval", count=1, quorum=("it_operations", "integration_owner")),
        ),
    ),
    "release": Gate("release", signoffs=(SignOffRule("release", "it_operations", "approval"),)),
}
GOOD: dict[str, Any] = {
    "signers": {"release": ["it_operations"], "review": ["validator"]},
    "metrics": {"rmse": {"worse_by": 2, "maximum": 9}, "f1": {"worse_by_percent": 5, "minimum": 0.5}},
}


def told_of(raw: Any, kind: str = "standard", tests: tuple[str, ...] = ("performance",)) -> dict[str, Any]:
    """Return what is wrong with what a policy says of a kind of change, by its place."""
    reader = Reader()
    read = read_standard_change if kind == "standard" else read_retrain
    read(reader, raw, GATES, tests, ("low", "high"))
    return reader.mistakes


def test_what_a_policy_says_is_read_in_the_order_of_what_is_known() -> None:
    for read in (read_standard_change, read_retrain):
        reader = Reader()
        assert read(reader, GOOD, GATES, ("performance",), ("low", "high")) == StandardRules(
            {"review": ("validator",), "release": ("it_operations",)},
            {
                "f1": MetricLimits(worse_by_percent=5, minimum=0.5),
                "rmse": MetricLimits(worse_by=2, maximum=9),
            },
            ("golden",),
            (),
            3,
            90,
        )
        full = GOOD | {
            "metrics": {
                "f1": dict.fromkeys(("worse_by", "better_by", "better_by_percent", "minimum", "maximum"), 0.25)
            },
            "elements": ["runtime", "golden"],
            "aspects": ["tools.hardware", "people.owner"],
            "at_most": 20,
            "within_days": 365,
        }
        assert read(reader, full, GATES, ("performance",), ("low",)) == StandardRules(
            {"review": ("validator",), "release": ("it_operations",)},
            {"f1": MetricLimits(0.25, None, 0.25, 0.25, 0.25, 0.25)},
            ("golden", "runtime"),
            ("people.owner", "tools.hardware"),
            20,
            365,
        )
        assert list(read(reader, GOOD, GATES, ("performance",), ("low",)).signers) == ["review", "release"]
        assert reader.mistakes == {}
        assert read(reader, None, GATES, (), ("low",)) == StandardRules()
        assert reader.mistakes == {}


@pytest.mark.parametrize(
    "change",
    [
        {"at_most": 1, "within_days": 1},
        {"elements": [], "aspects": []},
        {"signers": {"review": ["integration_owner"]}},
        {"signers": {"review": ["model_owner", "it_operations"]}},
        {"metrics": {"f1": {"worse_by": 0, "minimum": -1e12}}},
        {"metrics": {"rmse": {"worse_by_percent": 1e12, "maximum": 1e12, "minimum": -3}}},
    ],
)
def test_what_may_be_said_is_taken(change: dict[str, Any]) -> None:
    assert told_of(GOOD | change) == told_of(GOOD | change, "retrain") == {}


WHOLE = "must be a whole number from 1 to 20"
DAYS = "must be a whole number of days from 1 to 365"
SIZES, BOUNDED = "must be a number from 0 to 1e+12", "must be a number from -1e+12 to 1e+12"
SILENT = "nobody would have to sign at {} risk; a gate never opens by silence".format


@pytest.mark.parametrize(
    ("change", "place", "told"),
    [
        ({"at_most": 0}, "at_most", WHOLE),
        ({"at_most": 21}, "at_most", WHOLE),
        ({"within_days": 0}, "within_days", DAYS),
        ({"within_days": 366}, "within_days", DAYS),
        ({"aspects": ["tools"]}, "aspects", "must be a list of people.organisation, "),
        ({"elements": ["input_schema"]}, "elements", "must be a list of golden, runtime"),
        ({"signer": {}}, "signer", "is not known (did you mean signers?)"),
        ({"signers": []}, "signers", "must be a mapping"),
        ({"signers": {}}, "signers", "names no gate, so that no signature would be fewer"),
        ({"signers": {"confirm": ["validator"]}}, "signers.confirm", "is not known; known are release, review"),
        ({"signers": {"review": []}}, "signers.review", "must be a list, not empty, of "),
        (
            {"signers": {"review": ["data_scientist"]}}, "signers.review",
            "data_scientist signs nothing at that gate; these do: validator, model_owner, risk_compliance, "
            "it_operations, integration_owner",
        ),
        ({"signers": {"review": ["model_owner"]}}, "signers.review", SILENT("low")),
        ({"signers": {"review": ["risk_compliance", "model_owner"]}}, "signers.review", SILENT("low")),
        ({"metrics": []}, "metrics", "must be a mapping"),
        ({"metrics": {}}, "metrics", "names no metric, so that nothing would hold a change small"),
        ({"metrics": {"roc": {"worse_by": 1}}}, "metrics.roc", "is not known (did you mean roc_auc?)"),
        (
            {"metrics": {"f1": {"better_by": 1, "minimum": 0}}}, "metrics.f1",
            "must say how much worse it may be: worse_by, or worse_by_percent",
        ),
        ({"metrics": {"f1": {"worse_by": -0.1, "minimum": 0}}}, "metrics.f1.worse_by", SIZES),
        ({"metrics": {"f1": {"worse_by": 1.1e12, "minimum": 0}}}, "metrics.f1.worse_by", SIZES),
        ({"metrics": {"f1": {"worse_by": 1, "minimum": -1.1e12}}}, "metrics.f1.minimum", BOUNDED),
        ({"metrics": {"f1": {"worse_by": 1, "minimum": 1.1e12}}}, "metrics.f1.minimum", BOUNDED),
        ({"metrics": {"f1": {"worse_by": 1, "minimum": 0, "least": 2}}}, "metrics.f1.least", "is not known; known are"),
    ],
)  # fmt: skip
def test_what_is_said_wrongly_is_told_by_its_place(change: Any, place: str, told: str) -> None:
    for kind, key in (("standard", "standard_change"), ("retrain", "retrain")):
        found = told_of(GOOD | change, kind)
        assert list(found) == [f"{key}.{place}"]
        assert found[f"{key}.{place}"].startswith(told), found


def test_what_is_wrong_with_the_whole_is_told_at_the_whole() -> None:
    needs = "needs the promotion test performance, which measures the metrics"
    for kind, key in (("standard", "standard_change"), ("retrain", "retrain")):
        assert told_of(GOOD, kind, ("integrity",)) == {key: needs}
        assert told_of(GOOD | {"metrics": {"f1": 5}}, kind)[f"{key}.metrics.f1"] == "must be a mapping"
        assert told_of(5, kind) == {
            key: "must be a mapping",
            f"{key}.signers": "must be a mapping",
            f"{key}.metrics": "must be a mapping",
        }


def test_a_retrain_has_a_bound_where_a_metric_is_worse_and_may_have_new_validation_records() -> None:
    """A standard change need not have the one, and may not have the other."""
    missing = "is missing; a retrain stays inside of a bound, however small each step"
    loose = GOOD | {"metrics": {"rmse": {"worse_by": 2, "minimum": 0}, "f1": {"worse_by": 1, "maximum": 1}}}
    assert told_of(loose) == {}
    assert told_of(loose, "retrain") == {
        "retrain.metrics.f1.minimum": missing,
        "retrain.metrics.rmse.maximum": missing,
    }
    renewed = GOOD | {"elements": ["validation"]}
    assert list(told_of(renewed)) == ["standard_change.elements"]
    assert told_of(renewed, "retrain") == {}
    assert {bound_of(name) for name in ("log_loss", "rmse", "mae")} == {"maximum"}
    assert {bound_of(name) for name in set(METRICS) - {"log_loss", "rmse", "mae"}} == {"minimum"}


def test_a_signoff_is_kept_if_any_of_those_who_may_sign_it_is_still_waited_for() -> None:
    validation, *_, quorum = GATES["review"].signoffs
    assert kept(validation, ("validator", "model_owner"))
    assert not kept(validation, ("it_operations",))
    assert kept(quorum, ("integration_owner",))
    assert not kept(quorum, ("validator",))
    assert not kept(quorum, ())


# Of two policies


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (GOOD, None),
        (GOOD, {}),
        (None, None),
        (GOOD, GOOD | {"signers": {"confirm": ["validator"]}}),
    ],
)
def test_what_one_of_two_policies_does_not_allow_neither_does(one: Any, other: Any) -> None:
    assert united(one, other) is united(other, one) is None


def test_of_two_policies_the_smaller_limit_of_each_counts() -> None:
    moves = {"worse_by": 1, "worse_by_percent": 20, "better_by": 3, "better_by_percent": 40}
    more = {"worse_by": 10, "worse_by_percent": 2, "better_by": 30, "better_by_percent": 4}
    one = {
        "signers": {"review": ["risk_compliance", "validator"], "release": ["it_operations"]},
        "metrics": {"f1": moves | {"minimum": 1, "maximum": 8}, "r2": {"worse_by": 1}},
        "elements": ["golden", "validation", "runtime"],
        "aspects": ["people.owner", "tools.hardware"],
        "at_most": 5,
        "within_days": 30,
    }
    other = {
        "signers": {"review": ["model_owner", "validator"]},
        "metrics": {"mae": {"worse_by": 2}, "f1": more | {"minimum": 2, "maximum": 9}},
        "elements": ["validation", "runtime"],
        "aspects": ["tools.hardware", "tools.python"],
        "at_most": 4,
        "within_days": 40,
    }
    expected = {
        "signers": {"review": ["model_owner", "validator", "risk_compliance"]},
        "metrics": {
            "f1": {
                "worse_by": 1, "worse_by_percent": 2, "better_by": 3, "better_by_percent": 4,
                "minimum": 2, "maximum": 8,
            },
            "mae": {"worse_by": 2},
            "r2": {"worse_by": 1},
        },
        "elements": ["runtime", "validation"],
        "aspects": ["tools.hardware"],
        "at_most": 4,
        "within_days": 30,
    }  # fmt: skip
    assert united(one, other) == united(other, one) == expected
    silent = {"signers": one["signers"], "metrics": {"f1": {"worse_by": 1}}}
    assert united(silent, silent) == silent | {
        "elements": ["golden"],
        "aspects": [],
        "at_most": 3,
        "within_days": 90,
        "signers": {"review": ["validator", "risk_compliance"], "release": ["it_operations"]},
    }
    loose = silent | {"aspects": ["people.owner"], "at_most": 9, "within_days": 300, "elements": []}
    assert united(silent, loose) == united(silent, silent) | {"elements": []}
