"""The confirm gate and the way back: a canary that ends well or not, rollbacks, and races between them."""

from typing import Any

import pytest

from audit.actors import Person
from handoff import queue
from handoff.errors import Hidden, Invalid, WrongRole, WrongState
from handoff.models import Deployment, Handoff, OwnerOfRecord
from handoff.services import deployments, jobs
from handoff.states import JobState, State
from tests.handoff import building
from tests.handoff.test_deployments_live import check_invariants, latest, work
from tests.handoff.test_jobs_claims import at_once, run_out
from tests.processes import Engine

pytestmark = pytest.mark.django_db(transaction=True)
WHY = "the answers look wrong to the people at the line"


def back(place: building.Place, handoff: Handoff, who: str = "otto", reason: str = WHY) -> Any:
    actor = Person(getattr(place, who), "test")
    return deployments.roll_back(actor=actor, deployment_id=latest(handoff).pk, reason=reason)


def test_a_canary_stays_until_it_is_confirmed(engine: Engine, released: Any, place: building.Place) -> None:
    first = work(released(1))
    second = work(released(2, "other", confirm=True))
    assert (second.state, latest(second).state) == (State.CONFIRMING, "confirming")
    assert engine.serves("tumours") == second.version.digest
    assert latest(first).state == "live", "the record moves with the confirmation, not before"
    building.sign(second, "confirm", place.iris)
    assert work(second).state == State.LIVE
    first.refresh_from_db()
    assert first.state == State.SUPERSEDED
    check_invariants(place.model.pk, engine)


@pytest.mark.parametrize("how", ["refused", "rolled back"])
def test_a_canary_that_is_refused_gives_way(engine: Engine, released: Any, place: building.Place, how: str) -> None:
    first = work(released(1))
    second = work(released(2, "other", confirm=True))
    if how == "refused":
        building.sign(second, "confirm", place.iris, decision="refuse", comment=WHY, reasons=["performance"])
    else:
        back(place, second)
    assert work(second).state == State.RETURNED
    first.refresh_from_db()
    assert (first.state, latest(second).state) == (State.LIVE, "rolled_back")
    assert second.return_note.comment == WHY
    check_invariants(place.model.pk, engine)


def test_the_first_canary_gives_way_to_nothing(engine: Engine, released: Any, place: building.Place) -> None:
    handoff = work(released(1, confirm=True))
    assert engine.serves("tumours")
    back(place, handoff)
    assert work(handoff).state == State.RETURNED
    assert engine.serves("tumours") == ""
    assert not OwnerOfRecord.objects.filter(model=place.model).exists()


def test_a_canary_is_ended_once(engine: Engine, released: Any, place: building.Place) -> None:
    handoff = work(released(1, confirm=True))
    back(place, handoff)
    with pytest.raises(WrongState):
        back(place, handoff)


def test_a_confirmation_that_could_not_reach_the_engine_is_tried_again(
    engine: Engine, released: Any, place: building.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    handoff = work(released(1, confirm=True))
    monkeypatch.setattr("handoff.executors.engine.PATIENCE_SECONDS", 0.2)
    engine.kill()
    building.sign(handoff, "confirm", place.iris)
    assert work(handoff).state == State.CONFIRMING
    engine.start()
    deployments.retry(actor=Person(place.otto, "test"), handoff_id=handoff.pk)
    assert work(handoff).state == State.LIVE
    check_invariants(place.model.pk, engine)


def test_a_rollback_brings_the_version_before_back(engine: Engine, released: Any, place: building.Place) -> None:
    first = work(released(1))
    second = work(released(2, "other"))
    job = back(place, second)
    assert job.task == queue.ROLL_BACK
    work(second)
    first.refresh_from_db()
    assert (first.state, second.state) == (State.LIVE, State.ROLLED_BACK)
    order = Deployment.objects.get(rollback_of__handoff=second)
    assert (order.state, order.version, order.ordered_by, order.reason) == ("live", first.version, "Otto", WHY)
    assert order.rollback_of is not None
    assert order.rollback_of.state == "rolled_back"
    assert OwnerOfRecord.objects.filter(model=place.model).count() == 3
    check_invariants(place.model.pk, engine)


def test_after_a_rollback_the_next_version_takes_over_as_usual(
    engine: Engine, released: Any, place: building.Place
) -> None:
    first, second = work(released(1)), work(released(2, "other"))
    back(place, second)
    work(second)
    third = work(released(3, "worse"))
    first.refresh_from_db()
    assert (first.state, third.state) == (State.SUPERSEDED, State.LIVE)
    check_invariants(place.model.pk, engine)
    back(place, third)
    work(third)
    first.refresh_from_db()
    assert first.state == State.LIVE, "never to a version that was rolled back itself"
    check_invariants(place.model.pk, engine)


def test_there_must_be_something_to_go_back_to(engine: Engine, released: Any, place: building.Place) -> None:
    handoff = work(released(1))
    with pytest.raises(WrongState, match="nothing to go back to"):
        back(place, handoff)


def test_only_operations_roll_back_and_say_why(engine: Engine, released: Any, place: building.Place) -> None:
    work(released(1))
    handoff = work(released(2, "other"))
    with pytest.raises(WrongRole):
        back(place, handoff, "dana")
    with pytest.raises(Hidden):
        back(place, handoff, "mallory")
    with pytest.raises(Invalid):
        back(place, handoff, reason=" ")
    assert not handoff.jobs.filter(task=queue.ROLL_BACK).exists()


def test_of_two_rollbacks_at_once_one_is_carried_out(engine: Engine, released: Any, place: building.Place) -> None:
    work(released(1))
    second = work(released(2, "other"))

    def press(_: int) -> str:
        try:
            back(place, second)
        except WrongState as error:
            return error.code
        return "ordered"

    assert sorted(at_once(4, press)) == ["ordered", "under_way", "under_way", "under_way"]
    work(second)
    assert Deployment.objects.filter(rollback_of__handoff=second).count() == 1
    check_invariants(place.model.pk, engine)


def test_a_rollback_and_a_deployment_do_not_cross(engine: Engine, released: Any, place: building.Place) -> None:
    work(released(1))
    second = work(released(2, "other"))
    third = released(3, "worse")
    back(place, second)
    at_once(2, lambda i: work((second, third)[i]))
    for handoff in (second, third):
        work(handoff)
    third.refresh_from_db()
    assert third.state in (State.LIVE, State.READY)
    check_invariants(place.model.pk, engine)


def test_a_rollback_whose_engine_is_down_changes_nothing(
    engine: Engine, released: Any, place: building.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(released(1))
    second = work(released(2, "other"))
    monkeypatch.setattr("handoff.executors.engine.PATIENCE_SECONDS", 0.2)
    engine.kill()
    back(place, second)
    assert work(second).state == State.LIVE
    engine.start()
    check_invariants(place.model.pk, engine)
    back(place, second)
    assert work(second).state == State.ROLLED_BACK
    check_invariants(place.model.pk, engine)


def test_a_rollback_whose_worker_dies_is_taken_over(engine: Engine, released: Any, place: building.Place) -> None:
    work(released(1))
    second = work(released(2, "other"))
    row = back(place, second)
    assert jobs.claim(row.pk, "dies", task=queue.ROLL_BACK) is not None
    run_out(row)
    jobs.sweep()
    assert work(second).state == State.ROLLED_BACK
    check_invariants(place.model.pk, engine)


def test_a_rollback_that_died_may_be_ordered_again(engine: Engine, released: Any, place: building.Place) -> None:
    work(released(1))
    second = work(released(2, "other"))
    row = back(place, second)
    jobs.claim(row.pk, "dies", task=queue.ROLL_BACK)
    run_out(row, attempts=3)
    jobs.sweep()
    row.refresh_from_db()
    assert row.state == JobState.DEAD
    work(second)
    check_invariants(place.model.pk, engine)
    back(place, second)
    assert work(second).state == State.ROLLED_BACK
    check_invariants(place.model.pk, engine)
