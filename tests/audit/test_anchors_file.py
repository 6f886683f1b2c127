"""The file of anchors: what is written, and what happens when somebody changes the file."""

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
from audit.models import RequestKey
from audit.trail import record
from tests.audit.building import CLERK, write_chain


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file goes."""
    return tmp_path / "deep" / "anchors.jsonl"


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
    assert (found.broken, len(found.notes), found.heads) == ([], 1, 2)
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
