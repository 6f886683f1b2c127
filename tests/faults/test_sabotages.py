"""The harness finds six builds that lack one guard each, and finds nothing wrong with ours where they fail.

A harness that does not find these proves nothing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import pytest

from audit import anchors, verification
from handoff.models import Deployment
from handoff.states import DeploymentState, JobState, State
from tests.audit.building import owned
from tests.faults import sabotages
from tests.faults.breaking import empty_broker, go_on
from tests.faults.flows import Deploy, Sign
from tests.faults.stand import Child, Late, Stand, settle

pytestmark = [pytest.mark.processes]
TRIES = 3  # on a busy machine a lease may run out before two processes meet that should
SOON = 10.0  # until work counts as lost; the leases of the stand are 2 s


def lost(stand: Stand, flow: Deploy, wanted: str) -> list[str]:
    """Return that a flow did not come to its end, or to another one, and what else is wrong then."""
    outcomes: list[str] = []

    def ended() -> bool:
        outcomes[:] = [flow.outcome()]
        return bool(outcomes[0])

    try:
        stand.until(f"it is {wanted}", ended, SOON)
    except (Late, AssertionError) as late:
        return [f"lost: {late}", *stand.wrong()]
    settle(stand)
    return [*([] if outcomes[0] == wanted else [f"it is {outcomes[0]}"]), *stand.wrong(), *flow.wrong()]


def stopped(stand: Stand, point: str) -> Child:
    """Wait until a process stands still at a point."""
    stand.until(f"{point} fires", stand.victim)
    child = stand.victim()
    assert child is not None
    stand.until(f"it stands still at {point}", lambda: child.state == "T", 10)
    return child


def two_orders_at_once(stand: Stand, sabotage: str) -> list[str]:
    """Let a worker stand still with its order written and not committed, while another takes up another version."""
    missing = sabotages.without_the_constraint("deployment_one_under_way") if sabotage else nullcontext()
    first, second = Deploy(stand), Deploy(stand)
    first.prepare(), second.prepare()
    with missing:
        stand.arm("deploy.ordered", "stop")
        first.go()
        held = stopped(stand, "deploy.ordered")
        stand.arm("deploy.staged", "stop")
        second.go()
        if sabotage:
            staged = stopped(stand, "deploy.staged")
            go_on(held)
            stand.until("both are ordered", lambda: under_way(stand) > 1, 10)
        else:
            go_on(held)
            staged = stopped(stand, "deploy.staged")
        wrong = [f"doubled: {under_way(stand)} orders are under way at once"] if under_way(stand) > 1 else []
        go_on(staged)
        stand.until("all work has ended", lambda: not first.busy())
        settle(stand)
    return wrong


def under_way(stand: Stand) -> int:
    """Return how many orders of the stand's model are under way."""
    states = [DeploymentState.ORDERED, DeploymentState.CONFIRMING]
    return Deployment.objects.filter(model=stand.place.model, state__in=states).count()


def a_late_order(stand: Stand, sabotage: str) -> list[str]:
    """Let a worker wake up before its swap, after the next version has gone live."""
    fence: AbstractContextManager[None] = sabotages.unfenced(stand) if sabotage else nullcontext()
    first, second = Deploy(stand), Deploy(stand)
    with fence:
        first.prepare(), second.prepare()
        stand.arm("deploy.staged", "stop")
        first.go()
        late = stopped(stand, "deploy.staged")
        stand.until("another worker has made it live", lambda: first.outcome() == "live")
        second.go()
        stand.until("the next version is live", lambda: second.outcome() == "live")
        go_on(late)
        settle(stand)
        return stand.wrong()


def an_empty_broker(stand: Stand, sabotage: str) -> list[str]:
    """Let the broker lose all that was sent for a signature."""
    stand.sabotages = (sabotage,) if sabotage else ()
    flow = Sign(stand)
    flow.prepare()
    stand.ringing = False
    stop_ringing(stand)
    flow.go()
    stand.until("it is signed", lambda: not flow.signing.state)
    empty_broker(stand, flow, flow.signing)
    stand.ringing = True
    return lost(stand, flow, "live")


def stop_ringing(stand: Stand) -> None:
    """End the relay."""
    if stand.relay is not None:
        stand.relay.kill()


def killed_before_it_rang(stand: Stand, sabotage: str) -> list[str]:
    """Kill the process that committed a signature before it has rung for the work that follows."""
    flow = Sign(stand)
    flow.prepare()
    if sabotage:
        stand.sabotages, stand.ringing = (sabotage,), False
        stop_ringing(stand)
    stand.arm(sabotages.ON_COMMIT if sabotage else "relay.before_bell", "kill")
    flow.go()
    stand.until("who would have rung is dead", stand.victim)
    return lost(stand, flow, "live")


def a_gate_that_shut(stand: Stand, sabotage: str) -> list[str]:
    """Take the right to sign away from who signed, after a worker has claimed the order and before it looks."""
    flow = Deploy(stand)
    flow.prepare()
    stand.sabotages = (sabotage,) if sabotage else ()
    stand.arm("job.claimed", "stop")
    flow.go()
    child = stopped(stand, "job.claimed")
    otto = stand.place.otto
    otto.is_active = False
    otto.save(update_fields=["is_active"])
    go_on(child)
    stand.until("all work has ended", lambda: not flow.busy())
    settle(stand)
    flow.handoff.refresh_from_db()
    otto.is_active = True
    otto.save(update_fields=["is_active"])
    wrong = stand.wrong()
    if flow.handoff.state != State.READY:
        wrong.append(f"let through: it is {flow.handoff.state}, and its gate was shut")
    refused = flow.handoff.jobs.filter(state=JobState.REFUSED).count()
    return wrong if refused == 1 else [*wrong, "let through: the order was not refused"]


def a_tail_cut_off(stand: Stand, sabotage: str) -> list[str]:
    """Take the newest events of a chain away, as who owns the database could."""
    flow = Deploy(stand)
    flow.prepare()
    flow.go()
    stand.until("it is live", lambda: flow.outcome() == "live")
    path = Path(stand.folder / "anchors.jsonl")
    path.unlink(missing_ok=True)
    if not sabotage:
        anchors.write(path)
    cut(f"handoff:{flow.handoff.pk}")
    found = [*verification.verify().broken, *(anchors.compare(path).broken if path.exists() else [])]
    return [] if found else ["let through: the tail of a chain was cut off, and nothing tells of it"]


def cut(chain: str) -> None:
    """Delete the last three events of a chain."""
    with owned("audit_auditevent") as cursor:
        cursor.execute(
            "DELETE FROM audit_auditevent WHERE chain = %s"
            " AND seq > (SELECT max(seq) - 3 FROM audit_auditevent WHERE chain = %s)",
            [chain, chain],
        )


SCENES: dict[str, Callable[[Stand, str], list[str]]] = {
    "no unique constraint": two_orders_at_once,
    "no fencing": a_late_order,
    "no outbox": an_empty_broker,
    "on_commit only": killed_before_it_rang,
    "no re-evaluation": a_gate_that_shut,
    "no anchors": a_tail_cut_off,
}


@pytest.mark.parametrize("name", SCENES)
def test_a_build_that_lacks_a_guard_is_found(name: str, stand: Stand) -> None:
    honest = SCENES[name](stand, "")
    assert honest == []
    wrong: list[str] = []
    for _ in range(TRIES):
        stand.renew()
        with suppress(Late):
            wrong = SCENES[name](stand, name)
            break
    print(f"{name}: {'; '.join(wrong[:2])}")
    assert wrong != []
