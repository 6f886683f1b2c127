"""The command that proves the trail: what it tells and keeps of a proof, and what it says where something broke."""

import json
import stat
from collections.abc import Iterator
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit import anchors
from audit.models import Keeping, TreeHead
from audit.sealing import seal_all
from audit.tree_verification import verify_tree
from tests.audit.building import as_owner, as_owner_of, write_chain

EDITED = "UPDATE audit_auditevent SET body = replace(body, 'because', 'why') WHERE chain = 'handoff:b' AND seq = 2"
NO_ANCHORS = "No anchors: an older database that was put back would not be found."
WHOLE = "The trail is whole."


@pytest.fixture(autouse=True)
def path(db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seal two chains and that of the site, let each proof take two seconds, and return where anchors would be."""
    write_chain("handoff:a", 7)
    write_chain("handoff:b", 4)
    seal_all()
    clock: Iterator[int] = count(0, 2)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    settings.ANCHORS = str(tmp_path / "deep" / "anchors")
    return Path(settings.ANCHORS)


def told(*arguments: str, **options: Any) -> list[str]:
    """Return what the command tells."""
    out = StringIO()
    call_command("verify_audit", *arguments, stdout=out, **options)
    return out.getvalue().splitlines()


def broken(*arguments: str, **options: Any) -> list[str]:
    """Return what the command says of a trail that is broken."""
    with pytest.raises(CommandError) as error:
        told(*arguments, **options)
    return str(error.value).splitlines()


def noted() -> tuple[bool, str]:
    """Return how the last proof ended, as it was noted."""
    one = Keeping.objects.get()
    return one.whole, one.words


def test_all_is_proven_and_kept_beside_the_anchors(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr("os.fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").read_bytes()))
    for _ in range(2):
        assert told() == [
            NO_ANCHORS,
            "12 sealed events under 2 heads, 2.00 s, 6 events/s",
            "12 events in 3 chains, 2.00 s, 6 events/s",
            WHOLE,
        ]
        assert noted() == (True, "")
        state = Path(f"{path}.proven")
        assert synced.pop() == state.read_bytes()
        assert stat.S_IMODE(state.stat().st_mode) == 0o600
        head, peaks = TreeHead.objects.get(size=12), verify_tree().proven.peaks
        at = json.loads(state.read_text()).pop("at")
        assert json.loads(state.read_text()) == {
            "size": 12, "root": bytes(head.root).hex(), "peaks": list(peaks), "at": at,
        }  # fmt: skip
        assert at[:19] == f"{head.at:%Y-%m-%dT%H:%M:%S}"
        assert [one.name for one in path.parent.iterdir()] == ["anchors.proven"]


def test_a_clock_that_stands_still_tells_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: 7)
    assert told()[1:3] == [
        "12 sealed events under 2 heads, 0.00 s, 0 events/s", "12 events in 3 chains, 0.00 s, 0 events/s",
    ]  # fmt: skip


def test_one_chain_is_proven_by_itself_and_nothing_noted(path: Path) -> None:
    as_owner(EDITED)
    assert told(chain="handoff:a") == [NO_ANCHORS, "7 events in 1 chains, 2.00 s, 4 events/s", WHOLE]
    assert broken(chain="handoff:nowhere") == ["There is no chain handoff:nowhere."]
    first, second = broken(chain="handoff:b")
    assert (first, second[:18]) == ("The trail is broken.", "handoff:b event 2:")
    assert not Keeping.objects.exists()
    assert not path.parent.exists()


def test_anchors_are_told_with_what_is_odd_about_them(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert told()[0] == "0 anchored events in 0 lines, the last of ?"
    at = anchors.write(path).at
    assert told()[0] == f"3 anchored events in 1 lines, the last of {at}"
    assert told(chain="handoff:a")[0] == f"1 anchored events in 1 lines, the last of {at}"
    with path.open("ab") as file:
        file.write(b'{"at":"2026')
    assert told()[:2] == [
        f"3 anchored events in 2 lines, the last of {at}", f"Note: {path} line 2 was cut short while it was written.",
    ]  # fmt: skip
    elsewhere = tmp_path / "elsewhere"
    assert broken(anchors=str(elsewhere)) == [f"There is no file {elsewhere}."]
    path.rename(elsewhere)
    assert told(anchors=str(elsewhere))[0] == f"3 anchored events in 2 lines, the last of {at}"
    assert Path(f"{elsewhere}.proven").exists()


def test_events_that_nobody_sealed_are_noted() -> None:
    write_chain("handoff:c", 1)
    as_owner("UPDATE audit_auditevent SET at = '2026-01-02T03:04:05Z' WHERE chain = 'handoff:c'")
    note = "Note: 1 events are not sealed, the oldest of 2026-01-02 03:04:05 UTC."
    with pytest.raises(CommandError, match="handoff:c event 1"):
        call_command("verify_audit", stdout=(out := StringIO()))
    assert note in out.getvalue().splitlines()


def test_all_that_broke_is_told_and_no_proof_kept(path: Path) -> None:
    anchors.write(path)
    as_owner(EDITED)
    as_owner("DELETE FROM audit_auditevent WHERE chain = 'handoff:a' AND seq = 7")
    first, chain, anchored, sealed = broken()
    assert first == "The trail is broken."
    assert chain.startswith("handoff:b event 2: ")
    assert anchored == "handoff:a event 7: this event was anchored, and is not there any more (cut)"
    assert sealed.startswith("handoff:a event 7: this event was sealed, and is not there any more, ")
    assert noted() == (False, "3 places are broken")
    assert not Path(f"{path}.proven").exists()


def test_a_tree_that_has_shrunk_since_it_was_proven_is_told(tmp_path: Path) -> None:
    state = tmp_path / "proven"
    kept = json.dumps({"size": 13, "root": "00", "peaks": [], "at": "2026-11-20"})
    state.write_text(kept)
    assert broken(state=str(state)) == [
        "The trail is broken.",
        f"the tree event 12: 13 leaves were proven at 2026-11-20, as {state} says, and fewer are there (cut)",
    ]
    assert state.read_text() == kept


def test_only_what_is_new_is_proven_on(tmp_path: Path) -> None:
    state = tmp_path / "deeper" / "still" / "proven"
    assert told("--new", state=str(state)) == [
        f"No proof is kept at {state} yet: this one begins with the first event.",
        "12 sealed events under 2 heads, 2.00 s, 6 events/s",
        "12 events in 3 chains, 2.00 s, 6 events/s",
        WHOLE,
    ]
    assert noted() == (True, "")
    write_chain("handoff:a", 2)
    seal_all()
    write_chain("handoff:a", 2)
    seal_all()
    as_owner_of("audit_treehead", "UPDATE audit_treehead SET envelope = '{}' WHERE size = 14")
    assert told("--new", state=str(state)) == [
        "4 sealed events under 3 heads, 2.00 s, 2 events/s", "4 events in 1 chains, 2.00 s, 2 events/s", WHOLE,
    ]  # fmt: skip
    assert json.loads(state.read_text())["size"] == 16
    assert told(state=str(state))[-1] == WHOLE
    assert broken("--signatures", state=str(state)) == [
        "The trail is broken.",
        "the tree event 14: the head of 14 leaves is not the root of its leaves (head)",
    ]


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE audit_auditevent SET body = replace(body, 'because', 'why') WHERE chain = 'handoff:new'",
        "DELETE FROM audit_auditevent WHERE chain = 'handoff:new'",
    ],
)
def test_where_what_is_new_broke_the_last_proof_stays(tamper: str, tmp_path: Path) -> None:
    """In the chain alone, and in the tree."""
    state = tmp_path / "proven"
    told("--new", state=str(state))
    write_chain("handoff:new", 1)
    seal_all()
    kept = state.read_bytes()
    as_owner(tamper)
    first, second = broken("--new", state=str(state))
    assert (first, second[:20]) == ("The trail is broken.", "handoff:new event 1:")
    assert noted() == (False, "1 places are broken")
    assert state.read_bytes() == kept


@pytest.mark.parametrize("content", ["{", "7", "{}", '{"size":"x"}', '{"size":1,"root":"","peaks":7,"at":""}', None])
def test_what_was_kept_and_cannot_be_read_is_told(content: str | None, tmp_path: Path) -> None:
    state = tmp_path / "proven"
    state.write_text(content) if content else state.mkdir()
    for arguments in ([], ["--new"]):
        assert broken(*arguments, state=str(state)) == [f"{state} cannot be read; move it away, and prove all."]
