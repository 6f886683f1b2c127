"""The file of anchors: what is written, and what happens when somebody changes the file."""

import fcntl
import stat
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread

import orjson
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from audit import anchors, tasks
from audit.models import AuditEvent, RequestKey
from audit.sealing import seal_all
from audit.trail import record
from audit.verification import Broken
from tests.audit.building import CLERK, as_owner, as_owner_of, write_chain


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file goes."""
    return tmp_path / "deep" / "deeper" / "anchors.jsonl"


def lines(path: Path) -> list[dict[str, object]]:
    """Return the lines of the file."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_only_what_changed_is_written(path: Path, db: None) -> None:
    write_chain("handoff:a", 2)
    write_chain("handoff:b", 1)
    anchors.write(path)
    write_chain("handoff:b", 1)
    anchors.write(path)
    anchors.write(path)
    anchors.write(path, full=True)
    heads = [{name: head[0] for name, head in line["chains"].items()} for line in lines(path)]  # type: ignore[attr-defined]
    assert heads == [{"handoff:a": 2, "handoff:b": 1}, {"handoff:b": 2}, {}, {"handoff:a": 2, "handoff:b": 2}]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_of_long_ago_are_joined_on_but_not_read(path: Path, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "LATE", 3)
    for chain, count in (("handoff:a", 2), ("handoff:b", 5), ("handoff:b", 1), ("handoff:c", 1), ("handoff:a", 1)):
        write_chain(chain, count)
        anchors.write(path)
    heads = [{name: head[0] for name, head in line["chains"].items()} for line in lines(path)]  # type: ignore[attr-defined]
    assert heads == [{"handoff:a": 2}, {"handoff:b": 5}, {"handoff:b": 6}, {"handoff:c": 1}, {"handoff:a": 3}]
    assert (anchors.write(path).chains, anchors.compare(path).broken) == ({}, [])
    old = path.read_bytes()
    path.write_bytes(old.replace(b'"handoff:a":[2', b'"handoff:a":[1', 1))
    with pytest.raises(anchors.FileBroken, match="line 2 does not join"):
        anchors.write(path)


@pytest.mark.parametrize("last", [b'{"at":"now"}\n', b"7\n", b'{"chains":7,"previous":"%s","up_to":9}\n'])
def test_a_last_line_that_is_no_anchor_is_found(last: bytes, path: Path, db: None) -> None:
    write_chain("handoff:a", 1)
    anchors.write(path)
    first = path.read_bytes()
    path.write_bytes(first + last.replace(b"%s", sha256(first.rstrip(b"\n")).hexdigest().encode()))
    assert [one.rule for one in anchors.compare(path).broken] == ["anchor_file"]
    with pytest.raises(anchors.FileBroken, match="line 2 is not an anchor"):
        anchors.write(path)


def test_an_event_that_committed_late_is_in_the_next_anchor(path: Path, transactional_db: None) -> None:
    written, anchored = Event(), Event()

    def slow() -> None:
        with transaction.atomic():
            record("answer.given", actor=CLERK, on="x", chain="handoff:slow")
            written.set()
            anchored.wait(20)
        connection.close()

    thread = Thread(target=slow)
    thread.start()
    written.wait(20)
    write_chain("handoff:quick", 3)
    first = anchors.write(path)
    anchored.set()
    thread.join()
    second = anchors.write(path)
    assert (set(first.chains), set(second.chains)) == ({"handoff:quick"}, {"handoff:slow"})


@pytest.mark.parametrize("change", ["edit", "remove", "swap", "forge"])
def test_a_changed_file_is_found_and_not_written_on(change: str, path: Path, db: None) -> None:
    for _ in range(4):
        write_chain("handoff:a", 1)
        anchors.write(path)
    found = path.read_bytes().splitlines(keepends=True)
    if change == "edit":
        found[1] = found[1].replace(b'["handoff:a"', b'["handoff:b"').replace(b":[2,", b":[1,")
    elif change == "remove":
        del found[1]
    elif change == "swap":
        found[1], found[2] = found[2], found[1]
    else:
        found[2] = b'{"previous":"00"}\n'
    path.write_bytes(b"".join(found))
    broken = anchors.compare(path).broken
    assert broken[0].rule == "anchor_file"
    with pytest.raises(CommandError, match="Nothing was written"):
        call_command("anchor_audit", anchors=str(path))
    assert path.read_bytes() == b"".join(found)


def test_half_a_line_left_by_a_crash_is_noted_and_passed_over(path: Path, db: None) -> None:
    write_chain("handoff:a", 1)
    anchors.write(path)
    with path.open("ab") as file:
        file.write(b'{"at":"2026-11-23T0')
    write_chain("handoff:a", 1)
    anchors.write(path)
    anchors.write(path)
    found = anchors.compare(path)
    assert (found.broken, found.notes, found.lines, found.heads) == (
        [], ["line 2 was cut short while it was written"], 3, 2,
    )  # fmt: skip
    assert found.latest == orjson.loads(path.read_bytes().splitlines()[-1])["at"]


def test_the_tasks_anchor_and_forget(path: Path, db: None, settings: object, django_user_model: object) -> None:
    write_chain("handoff:a", 1)
    settings.ANCHORS = str(path)  # type: ignore[attr-defined]
    tasks.anchor()
    assert len(lines(path)) == 1
    account = django_user_model.objects.create_user("dana")  # type: ignore[attr-defined]
    for key, age in (("old", "3 days"), ("new", "1 hour")):
        kept = RequestKey.objects.create(account=account, key=key, fingerprint="f", status=201, answer={})
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE audit_requestkey SET created_at = now() - %s::interval WHERE id = %s", [age, kept.pk]
            )
    tasks.forget_keys()
    assert list(RequestKey.objects.values_list("key", flat=True)) == ["new"]


def test_the_scheduled_tasks_exist() -> None:
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert {tasks.anchor.name, tasks.forget_keys.name} <= scheduled


def chained(*told: dict[str, object]) -> bytes:
    """Return lines of which each has the hash of the one before it."""
    found, previous = b"", anchors.START
    for one in told:
        line = orjson.dumps({"at": "a", "previous": previous} | one, option=orjson.OPT_SORT_KEYS)
        previous, found = sha256(line).hexdigest(), found + line + b"\n"
    return found


def test_a_line_tells_the_time_the_chains_the_newest_event_and_the_newest_head(path: Path, db: None) -> None:
    assert anchors.write(path) == anchors.Anchor(str(lines(path)[0]["at"]), 0, {}, None)
    assert [set(line) for line in lines(path)] == [{"at", "chains", "previous", "up_to"}]
    write_chain("handoff:a", 2)
    first = seal_all()
    write_chain("handoff:b", 1)
    head = seal_all()
    assert first is not None
    assert head is not None
    write_chain("handoff:b", 1)
    event = {one.chain: one for one in AuditEvent.objects.order_by("seq")}
    told = anchors.write(path)
    chains = {name: (one.seq, bytes(one.hash).hex()) for name, one in event.items()}
    tree = (head.size, bytes(head.root).hex())
    assert told == anchors.Anchor(told.at, max(one.pk for one in event.values()), chains, tree)
    raw = path.read_bytes().splitlines(keepends=True)
    assert lines(path)[1] == {
        "at": told.at, "chains": {name: list(one) for name, one in chains.items()}, "up_to": told.up_to,
        "previous": sha256(raw[0].rstrip(b"\n")).hexdigest(), "tree": {"size": tree[0], "root": tree[1]},
    }  # fmt: skip
    assert lines(path)[0]["previous"] == "0" * 64
    found = anchors.compare(path)
    assert (found.lines, found.heads, found.latest, found.notes) == (2, 3, told.at, [])
    assert (found.broken, found.trees) == ([], {tree[0]: tree[1]})


def test_the_very_first_event_is_written_down(path: Path, db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence('audit_auditevent', 'id')")
        cursor.execute(f"ALTER SEQUENCE {cursor.fetchone()[0]} RESTART WITH 1")
    write_chain("handoff:a", 1)
    for full in (False, True):
        assert {name: seq for name, (seq, _) in anchors.write(path, full=full).chains.items()} == {"handoff:a": 1}


def test_lines_that_came_before_the_newest_events_are_not_read(
    path: Path, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only joined on: the first of these is no anchor, and the last one is of an older database that was put back."""
    monkeypatch.setattr(anchors, "LATE", 3)
    for far, readable in ((0, False), (2, False), (4, True)):
        write_chain(f"handoff:{far}", 1)
        newest = AuditEvent.objects.latest("pk").pk
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            chained({"chains": 7, "up_to": newest}, {"chains": {}, "up_to": newest + far}, {"chains": {}, "up_to": 1})
        )
        before = path.read_bytes()
        if readable:
            assert anchors.write(path).up_to == newest + far
            continue
        with pytest.raises(anchors.FileBroken, match=r"^line 1 is not an anchor$"):
            anchors.write(path)
        assert path.read_bytes() == before


def test_half_a_first_line_is_passed_over(path: Path, db: None) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"at":"2026')
    anchors.write(path)
    assert path.read_bytes().startswith(b'{"at":"2026\n{"at":')
    assert orjson.loads(path.read_bytes().splitlines()[1])["up_to"] == 0
    found = anchors.compare(path)
    assert (found.lines, found.notes) == (1, ["line 1 was cut short while it was written"])


def test_half_a_last_line_is_compared_with_nothing(path: Path, db: None) -> None:
    write_chain("handoff:a", 1)
    told = anchors.write(path)
    with path.open("ab") as file:
        file.write(b'{"at":"2026')
    found = anchors.compare(path)
    assert (found.broken, found.lines, found.heads, found.latest) == ([], 2, 1, told.at)


def test_what_was_written_is_on_the_disk_before_it_is_told(
    path: Path, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr("os.fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").read_bytes()))
    write_chain("handoff:a", 1)
    for _ in range(2):
        anchors.write(path)
        assert synced.pop() == path.read_bytes()


def test_whoever_writes_waits_for_another_who_writes(path: Path, transactional_db: None) -> None:
    path.parent.mkdir(parents=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def write() -> None:
            anchors.write(path)
            connection.close()

        thread = Thread(target=write)
        thread.start()
        thread.join(0.5)
        assert (thread.is_alive(), path.read_bytes()) == (True, b"")
    thread.join(20)
    assert len(lines(path)) == 1


def test_the_earliest_event_of_each_chain_that_differs_is_named(path: Path, db: None) -> None:
    for name in ("handoff:b", "handoff:a", "handoff:c"):
        write_chain(name, 2)
    anchors.write(path)
    for name in ("handoff:b", "handoff:a", "handoff:c"):
        write_chain(name, 1)
    anchors.write(path)
    as_owner("DELETE FROM audit_auditevent WHERE chain = 'handoff:b'")
    as_owner("UPDATE audit_auditevent SET hash = sha256('x') WHERE chain = 'handoff:a' AND seq = 3")
    cut = Broken("handoff:b", 2, "cut", "this event was anchored, and is not there any more")
    other = Broken("handoff:a", 3, "rewritten", "this event was anchored with another hash")
    assert anchors.compare(path).broken == [other, cut]
    assert anchors.compare(path, "handoff:a").broken == [other]
    assert anchors.compare(path, "handoff:b").broken == [cut]
    alone = anchors.compare(path, "handoff:c")
    assert (alone.broken, alone.lines, alone.heads, alone.trees) == ([], 2, 2, {})


def test_the_first_head_that_differs_is_named(path: Path, db: None) -> None:
    sizes = []
    for _ in range(4):
        write_chain("handoff:a", 1)
        head = seal_all()
        assert head is not None
        sizes.append(head.size)
        anchors.write(path)
    as_owner_of("audit_treehead", "UPDATE audit_treehead SET root = sha256('x') WHERE size = %s", [sizes[2]])
    other = f"the head of {sizes[2]} leaves was anchored with another root"
    assert anchors.compare(path).broken == [Broken("the tree", sizes[2], "rewritten", other)]
    as_owner_of("audit_treehead", "DELETE FROM audit_treehead WHERE size IN (%s, %s)", [sizes[1], sizes[3]])
    gone = f"the head of {sizes[1]} leaves was anchored, and is not there any more"
    assert anchors.compare(path).broken == [Broken("the tree", sizes[1], "cut", gone)]
    assert anchors.compare(path, "handoff:a").broken == []


@pytest.mark.parametrize(
    ("raw", "place", "why"),
    [
        (b'{"previous":"00"}\n', 1, "is not an anchor"),
        (chained({"chains": {}, "up_to": 1}) * 2, 2, "does not join on the line before it"),
        (chained({"chains": {}, "up_to": 1}, {"chains": {"handoff:a": 7}, "up_to": 2}), 2, "is not an anchor"),
        (b"half a line\n" + chained({"chains": {}, "up_to": 1}, {"chains": 7, "up_to": 2}), 3, "is not an anchor"),
    ],
)
def test_where_the_file_was_changed_is_told(raw: bytes, place: int, why: str, path: Path, db: None) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(raw)
    assert anchors.compare(path).broken == [Broken("the anchors' file", place, "anchor_file", f"line {place} {why}")]
