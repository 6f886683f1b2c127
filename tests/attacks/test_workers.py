"""Between the decision and the deed: rows change or are forged while work waits, and the worker refuses to do it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from audit.models import Account
from handoff import queue
from handoff.models import Deployment, Handoff, Job, SignOff
from handoff.rules.policies import digest_of
from handoff.rules.scopes import digest
from handoff.services import deployments, findings, jobs, persons, promotion_tests, signoffs
from handoff.states import JobState, State
from models_registry.models import Environment, EnvironmentUserGrant, RegisteredModelUserGrant
from tests.attacks.forging import past_the_services
from tests.doors.asking import taken_back
from tests.doors.conftest import settle
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by

pytestmark = pytest.mark.django_db
OTHER_SIGNATURE = "A" * 86 + "=="


@dataclass
class Waiting:
    """A handoff whose gate has opened, the work that waits for a worker, and its people."""

    place: Place
    handoff: Handoff
    job: Job

    @property
    def validation(self) -> SignOff:
        """Return vera's signature at the review, that counts."""
        return self.handoff.signoffs.get(requirement="validation", voided_at=None)

    def begun(self) -> bool:
        """Let a worker claim the work, and tell whether it may begin."""
        claimed = jobs.claim(self.job.pk, "worker", task=self.job.task)
        assert claimed is not None
        begin: Callable[..., Any] = promotion_tests.begin if claimed.task == queue.RUN_TEST else deployments.begin
        plan = begin(claimed.pk, claimed.fence)
        self.handoff.refresh_from_db()
        self.job.refresh_from_db()
        return plan is not None


def of_handoff(column: str) -> str:
    return f"UPDATE handoff_handoff SET {column} = %s WHERE id = %s"


def of_signature(columns: str) -> str:
    return f"UPDATE handoff_signoff SET {columns} WHERE id = %s"


# What people and time do while work waits. Each is an act of its own, done rightly.


def the_role_is_taken_away(one: Waiting) -> None:
    building.ended(RegisteredModelUserGrant, user=one.place.vera)


def the_role_on_the_target_is_taken_away(one: Waiting) -> None:
    building.ended(EnvironmentUserGrant, user=one.place.otto)


def the_signer_leaves(one: Waiting) -> None:
    Account.objects.filter(pk=one.place.vera.pk).update(is_active=False)


def the_signer_turns_out_to_have_built_it(one: Waiting) -> None:
    persons.merge(actor=by(one.place.ada), account="vera", same_as="dana", reason="The same passport.")


def two_signers_turn_out_to_be_one(one: Waiting) -> None:
    persons.merge(actor=by(one.place.ada), account="vera", same_as="otto", reason="The same passport.")


def the_signer_takes_it_back(one: Waiting) -> None:
    given = {"handoff_id": one.handoff.pk, "signoff_id": one.validation.pk}
    signoffs.revoke(actor=by(one.place.vera), reason="I looked again.", **given)


def somebody_raises_a_finding_that_blocks(one: Waiting) -> None:
    told = {"title": "It answers strangely.", "severity": "high", "owner": "dana", "blocks": True}
    findings.raise_finding(actor=by(one.place.rita), handoff_id=one.handoff.pk, **told)


# What is written past the services, by whom no trigger stops.


def the_policy_is_emptied_under_its_digest(one: Waiting) -> None:
    policy = one.handoff.policy | {"tests": ["golden"]}
    past_the_services(of_handoff("policy"), orjson.dumps(policy).decode(), one.handoff.pk)


def the_policy_is_exchanged_with_its_digest(one: Waiting) -> None:
    policy = one.handoff.policy | {"tests": ["golden"]}
    statement = "UPDATE handoff_handoff SET policy = %s, policy_digest = %s WHERE id = %s"
    past_the_services(statement, orjson.dumps(policy).decode(), digest_of(policy), one.handoff.pk)


def the_report_is_emptied_under_its_digest(one: Waiting) -> None:
    past_the_services(of_handoff("report"), '{"items": [], "undeclared": []}', one.handoff.pk)


def the_report_is_reworded_under_its_digest(one: Waiting) -> None:
    report = orjson.dumps((one.handoff.report or {}) | {"told": "All is well."}).decode()
    past_the_services(of_handoff("report"), report, one.handoff.pk)


def it_is_led_to_another_target(one: Waiting) -> None:
    target = one.place.target
    other = Environment.objects.create(
        slug="annex", name="Annex", kind=target.kind, organisation=target.organisation, owner=one.place.otto,
        python=target.python, packages=target.packages, hardware=target.hardware, engine=target.engine,
    )  # fmt: skip
    building._grant(EnvironmentUserGrant, one.place.otto, "it_operations", other)
    building._grant(EnvironmentUserGrant, one.place.edda, "analytic_engineer", other)
    past_the_services(of_handoff("target_id"), other.pk, one.handoff.pk)


def it_is_led_to_another_version(one: Waiting) -> None:
    other = building.a_version(one.place, 90, "other")
    past_the_services(of_handoff("version_id"), other.pk, one.handoff.pk)


def its_bindings_are_changed(one: Waiting) -> None:
    past_the_services(of_handoff("bindings"), '{"slot": "main", "mode": "request"}', one.handoff.pk)


def its_bindings_are_changed_with_what_was_signed(one: Waiting) -> None:
    its_bindings_are_changed(one)
    for signed in one.handoff.signoffs.all():
        scope = signed.scope | {"bindings": digest({"slot": "main", "mode": "request"})}
        values = (orjson.dumps(scope).decode(), digest(scope), signed.pk)
        past_the_services(of_signature("scope = %s, scope_digest = %s"), *values)


def the_digest_of_the_version_is_changed(one: Waiting) -> None:
    statement = "UPDATE models_registry_modelversion SET digest = %s WHERE id = %s"
    past_the_services(statement, "0" * 64, one.handoff.version_id)


def an_answer_is_turned_round(one: Waiting) -> None:
    past_the_services("UPDATE handoff_answer SET choice = 'no', reason = 'No.' WHERE handoff_id = %s", one.handoff.pk)


def an_acknowledgement_is_taken_away(one: Waiting) -> None:
    past_the_services("DELETE FROM handoff_acknowledgement WHERE handoff_id = %s", one.handoff.pk)


def a_signature_is_given_to_somebody_else(one: Waiting) -> None:
    building._grant(RegisteredModelUserGrant, one.place.iris, "validator", one.place.model)
    past_the_services(of_signature("signer_id = %s"), one.place.iris.pk, one.validation.pk)


def a_signature_gets_other_words(one: Waiting) -> None:
    past_the_services(of_signature("comment = %s"), "All is well.", one.validation.pk)


def a_signature_is_forged(one: Waiting) -> None:
    past_the_services(of_signature("signature = %s"), OTHER_SIGNATURE, one.validation.pk)


def a_signature_is_written_without_a_key(one: Waiting) -> None:
    past_the_services(of_signature("key_id = NULL, signature = %s"), "", one.validation.pk)


def a_signature_is_copied_from_another_handoff(one: Waiting) -> None:
    other = walking.answered(one.place, walking.offered(one.place, building.a_version(one.place, 91, "other")))
    theirs = walking.sign(other, one.place.vera, "validation")
    values = (theirs.statement, theirs.signature, one.validation.pk)
    past_the_services("DELETE FROM handoff_signoff WHERE id = %s", theirs.pk)
    past_the_services(of_signature("statement = %s, signature = %s"), *values)


def a_signature_that_ended_is_brought_back(one: Waiting) -> None:
    signed = one.validation.pk
    the_signer_takes_it_back(one)
    past_the_services(of_signature("voided_at = NULL, voided_as = '', voided_because = ''"), signed)


def a_signature_that_stood_in_the_way_is_deleted(one: Waiting) -> None:
    given = one.validation.pk
    the_signer_takes_it_back(one)
    again = walking.sign(one.handoff, one.place.vera, "validation")
    assert again.pk != given
    past_the_services("DELETE FROM handoff_signoff WHERE id = %s", given)


SHUT, UNTRUE = "gate is shut", "What is stored is not what was approved"
CHANGED: dict[Callable[[Waiting], None], str] = {
    the_role_is_taken_away: SHUT,
    the_role_on_the_target_is_taken_away: SHUT,
    the_signer_leaves: SHUT,
    the_signer_turns_out_to_have_built_it: SHUT,
    two_signers_turn_out_to_be_one: SHUT,
    the_signer_takes_it_back: SHUT,
    somebody_raises_a_finding_that_blocks: SHUT,
}
FORGED: dict[Callable[[Waiting], None], str] = {
    the_policy_is_emptied_under_its_digest: UNTRUE,
    the_policy_is_exchanged_with_its_digest: SHUT,
    the_report_is_emptied_under_its_digest: SHUT,
    the_report_is_reworded_under_its_digest: UNTRUE,
    it_is_led_to_another_target: SHUT,
    it_is_led_to_another_version: SHUT,
    its_bindings_are_changed: SHUT,
    its_bindings_are_changed_with_what_was_signed: UNTRUE,
    the_digest_of_the_version_is_changed: SHUT,
    an_answer_is_turned_round: SHUT,
    an_acknowledgement_is_taken_away: SHUT,
    a_signature_is_given_to_somebody_else: UNTRUE,
    a_signature_gets_other_words: UNTRUE,
    a_signature_is_forged: UNTRUE,
    a_signature_is_written_without_a_key: UNTRUE,
    a_signature_is_copied_from_another_handoff: UNTRUE,
    a_signature_that_ended_is_brought_back: UNTRUE,
    a_signature_that_stood_in_the_way_is_deleted: UNTRUE,
}


@pytest.fixture(params=["test", "deploy"])
def waiting(request: pytest.FixtureRequest, stands: dict[str, Waiting]) -> Iterator[Waiting]:
    """Give a handoff whose work waits; whatever becomes of it is taken back."""
    with taken_back():
        one = stands[request.param]
        yield Waiting(one.place, Handoff.objects.get(pk=one.handoff.pk), Job.objects.get(pk=one.job.pk))


@pytest.fixture(scope="module")
def stands(place: Place) -> dict[str, Waiting]:
    """Return a handoff that waits for its tests, and one that waits for its deployment."""
    tested = walking.under_test(place)
    released = building.tested(_signed(place, 2))
    walking.sign(released, place.otto, "release")
    assert released.state == State.DEPLOYING
    settle()
    return {
        "test": Waiting(place, tested, tested.jobs.get(purpose="test:golden")),
        "deploy": Waiting(place, released, released.jobs.get(task=queue.DEPLOY)),
    }


def _signed(place: Place, number: int) -> Handoff:
    handoff = walking.answered(
        place, walking.offered(place, building.a_version(place, number, latency_p99_ms=100 + number))
    )
    walking.sign(handoff, place.vera, "validation")
    walking.sign(handoff, place.otto, "acceptance")
    return handoff


def refused(one: Waiting, words: str) -> None:
    """Hold that the worker did not begin, says why, and that nothing is on its way to the engine."""
    assert not one.begun()
    assert (one.job.state, words in one.job.error) == (JobState.REFUSED, True), one.job.error
    assert one.handoff.state in (State.RETURNED, State.READY)
    assert not Deployment.objects.exists()


def test_without_an_attack_the_work_begins(waiting: Waiting) -> None:
    assert waiting.begun(), waiting.job.error


@pytest.mark.parametrize("change", CHANGED, ids=lambda one: one.__name__)
def test_what_changed_while_work_waited_stops_it(change: Callable[[Waiting], None], waiting: Waiting) -> None:
    change(waiting)
    if waiting.job.task == queue.RUN_TEST and not Job.objects.filter(pk=waiting.job.pk, state="queued").exists():
        return  # the act itself has ended the work
    refused(waiting, CHANGED[change])


@pytest.mark.parametrize("change", FORGED, ids=lambda one: one.__name__)
def test_what_was_forged_while_work_waited_stops_it(change: Callable[[Waiting], None], waiting: Waiting) -> None:
    change(waiting)
    refused(waiting, FORGED[change])
