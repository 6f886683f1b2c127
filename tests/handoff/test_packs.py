"""Evidence packs: every door makes one that verifies without the product, and no forgery of one does."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path
from shutil import copyfile
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from django.conf import settings as site_settings
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.test import APIClient

from audit import verify_pack
from audit.actors import Person
from audit.envelopes import key_id_of, seal
from audit.models import AuditEvent, SigningKey, TreeHead
from audit.sealing import LOCK
from handoff.errors import Refused
from handoff.models import Evidence, Handoff
from handoff.services import packs, signoffs
from models_registry.store import keep_bytes, path_of
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.queries.counting import approve, deployed

FORGER = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
Files = dict[str, bytes]
pytestmark = pytest.mark.django_db


@pytest.fixture
def place() -> Place:
    """Return a site with its people."""
    return walking.a_site()


@pytest.fixture
def handoff(place: Place) -> Handoff:
    """Return a handoff that is live, with a file among its evidence, and a signature that was given anew."""
    offered = walking.answered(place, walking.offered(place, building.a_version(place, 1)))
    blob = keep_bytes(b"the figures of the pilot")
    Evidence.objects.create(answer=offered.answers.latest("pk"), kind="file", label="Pilot", blob=blob)
    approve(offered, place.vera, "validation")
    first = str(offered.signoffs.get().pk)
    signoffs.withdraw(actor=Person(place.vera, "api"), handoff_id=str(offered.pk), signoff_id=first, reason="too early")
    approve(offered, place.vera, "validation")
    approve(offered, place.otto, "acceptance")
    found = building.tested(offered)
    approve(found, place.otto, "release")
    deployed(found)
    return found


def made(handoff: Handoff, place: Place) -> bytes:
    """Return the pack as dana makes it."""
    with packs.make(actor=Person(place.dana, "api"), handoff_id=str(handoff.pk)).archive as archive:
        return archive.read()


def verified(pack: bytes, folder: Path, *more: str) -> tuple[int, str]:
    """Verify a pack with the copy of the verifier that lies in it, by a Python that knows nothing of the product."""
    path = folder / "pack.zip"
    path.write_bytes(pack)
    copyfile(verify_pack.__file__, folder / "alone.py")
    command = [sys.executable, "-I", "alone.py", "pack.zip", *more]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]}
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def files_in(pack: bytes) -> Files:
    """Return the files of a pack."""
    with zipfile.ZipFile(BytesIO(pack)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: Files) -> bytes:
    """Return an archive of files."""
    with (out := BytesIO()) and zipfile.ZipFile(out, "w") as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return out.getvalue()


def listed_anew(files: Files, *, key: Ed25519PrivateKey | None = None) -> Files:
    """Return the files with a manifest that fits them, and perhaps signed by somebody."""
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = [
        {"path": name, "sha256": sha256(raw).hexdigest(), "size": len(raw)}
        for name, raw in sorted(files.items())
        if name not in verify_pack.UNLISTED
    ]
    raw = json.dumps(manifest).encode()
    found = files | {"manifest.json": raw}
    return found | {"manifest.dsse.json": seal(verify_pack.PACK, raw, key).encode()} if key else found


def by_page(place: Place, who: str, handoff: Handoff) -> tuple[int, bytes]:
    """Press the button."""
    answer = walking.client_of(place.people[who]).post(f"/handoffs/{handoff.pk}/evidence-pack/")
    return answer.status_code, b"".join(answer.streaming_content) if answer.streaming else b""  # type: ignore[attr-defined]


def by_api(place: Place, who: str, handoff: Handoff) -> tuple[int, bytes]:
    """Ask the API."""
    client = APIClient()
    client.force_login(place.people[who])
    answer: Any = client.post(f"/api/v1/handoffs/{handoff.pk}/evidence-pack/")
    return answer.status_code, b"".join(answer.streaming_content) if answer.streaming else b""


def by_command(place: Place, who: str, handoff: Handoff, folder: Path) -> tuple[int, bytes]:
    """Call the command."""
    out = StringIO()
    try:
        call_command(
            "evidence_pack", str(handoff.pk), "--as", place.people[who].username, "--to", str(folder), stdout=out
        )
    except CommandError:
        return 404, b""
    return 200, Path(out.getvalue().strip()).read_bytes()


def test_every_door_makes_a_pack_that_holds_and_a_stranger_gets_none(
    handoff: Handoff, place: Place, tmp_path: Path
) -> None:
    doors: list[Callable[..., tuple[int, bytes]]] = [by_page, by_api, lambda *args: by_command(*args, tmp_path)]
    for number, door in enumerate(doors, 1):
        status, pack = door(place, "vera", handoff)
        assert status == 200
        code, told = verified(pack, tmp_path, "--key", SigningKey.objects.get().pk)
        assert (code, told.splitlines()[-1]) == (0, "Everything holds."), told
        assert AuditEvent.objects.filter(action="pack.made").count() == number
        assert door(place, "mallory", handoff)[0] == 404
        assert AuditEvent.objects.filter(action="pack.made").count() == number


def test_it_says_in_words_what_holds(handoff: Handoff, place: Place, tmp_path: Path) -> None:
    code, told = verified(made(handoff, place), tmp_path)
    assert code == 0
    assert "NOBODY BUT THE SITE CAN TELL YOU" in told
    for name in ("Vera", "Otto"):
        assert f"{name}" in told
    assert "ended since: withdrawn by the signer: too early" in told
    assert "The 1 evidence files are those that the answers name." in told
    assert told.count("over exactly what is here") == handoff.signoffs.filter(voided_at=None).count()


def test_the_bytes_follow_from_what_is_in_them(handoff: Handoff, place: Place) -> None:
    found = files_in(made(handoff, place))
    blobs = [(name, name.rpartition("/")[2]) for name in found if name.startswith("evidence/")]
    plain = {name: raw for name, raw in found.items() if not name.startswith("evidence/")}
    with packs.packed(plain, blobs) as one, packs.packed(plain, blobs) as other:
        once, again = one.read(), other.read()
    assert once == again
    assert files_in(once) == found


def test_a_draft_has_no_pack_and_nothing_is_recorded(place: Place) -> None:
    draft = walking.drafted(place, building.a_version(place, 1))
    with pytest.raises(Refused, match="offered"):
        made(draft, place)
    assert not AuditEvent.objects.filter(action="pack.made").exists()


def test_whoever_holds_no_key_forges_nothing(handoff: Handoff, place: Place, tmp_path: Path) -> None:
    """Flip, remove and add in every file, with the manifest as it was and written anew: none of it is taken."""
    files, key = files_in(made(handoff, place)), SigningKey.objects.get().pk
    assert len(files) > 25
    forged = 0
    for name, raw in files.items():
        flipped = raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1 :]
        without = {other: content for other, content in files.items() if other != name}
        for attempt in ({**files, name: flipped}, without, {**files, name: raw + b" "}, {**files, f"x/{name}": raw}):
            rewritten = listed_anew(attempt) if name != "manifest.json" else attempt
            for tried in (attempt, rewritten):
                (tmp_path / "pack.zip").write_bytes(zipped(tried))
                assert not holds(tmp_path / "pack.zip", [key]), name
                forged += 1
    assert forged > 200


def holds(path: Path, keys: list[str]) -> bool:
    """Tell whether a pack holds; one that cannot be read does not."""
    try:
        return verify_pack.verify(str(path), keys).whole
    except (verify_pack.Unreadable, verify_pack.Broken):
        return False


def swap_events(files: Files) -> Files:
    """Change the places of two events."""
    lines = files["events.jsonl"].splitlines(keepends=True)
    lines[2], lines[3] = lines[3], lines[2]
    return files | {"events.jsonl": b"".join(lines)}


def change_json(path: str, change: Callable[[Any], object]) -> Callable[[Files], Files]:
    """Return a forgery that changes what a JSON file says."""

    def forge(files: Files) -> Files:
        content = json.loads(files[path])
        change(content)
        return files | {path: json.dumps(content).encode()}

    return forge


def change_event(change: Callable[[dict[str, Any]], object]) -> Callable[[Files], Files]:
    """Return a forgery that changes the fourth event."""

    def forge(files: Files) -> Files:
        lines = files["events.jsonl"].splitlines()
        event = json.loads(lines[3])
        change(event)
        lines[3] = json.dumps(event).encode()
        return files | {"events.jsonl": b"\n".join(lines)}

    return forge


def other_statement(files: Files) -> Files:
    """Let a sign-off say something else, and fit its row to that."""
    rows = json.loads(files["signoffs/index.json"])
    name = f"signoffs/{rows[0]['id']}.json"
    statement = json.loads(files[name])
    predicate = statement.get("predicate", statement)
    predicate["comment"] = rows[0]["comment"] = "forged"
    raw = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    return files | {name: raw, "signoffs/index.json": json.dumps(rows).encode()}


def drop_signoff(files: Files) -> Files:
    """Hide a sign-off."""
    rows = json.loads(files["signoffs/index.json"])
    gone = rows.pop()["id"]
    kept = {name: raw for name, raw in files.items() if gone not in name}
    return kept | {"signoffs/index.json": json.dumps(rows).encode()}


FORGERIES: dict[str, tuple[Callable[[Files], Files], str]] = {
    "events swapped": (swap_events, "missing, or stands elsewhere"),
    "an event left out at the beginning": (
        lambda files: files | {"events.jsonl": files["events.jsonl"].split(b"\n", 1)[1]}, "missing"),
    "an event of another time": (change_event(lambda event: event.update(at=event["at"] + 1)), "not what was hashed"),
    "an event with other words": (
        change_event(lambda event: event.update(body=event["body"].replace("handoff", "handof"))),
        "not what was hashed"),
    "an event with another hash": (change_event(lambda event: event.update(hash="0" * 64)), "not what was hashed"),
    "an event at another leaf": (change_event(lambda event: event.update(leaf=event["leaf"] + 1)), "not in the tree"),
    "a path cut short": (change_event(lambda event: event["path"].pop()), "not in the tree"),
    "a path of something else": (change_event(lambda event: event.update(path=5)), "not of the form"),
    "no events": (lambda files: files | {"events.jsonl": b""}, "no events"),
    "another head": (change_json("head.dsse.json", lambda head: head.update(payload="e30=")), "head"),
    "a head as another kind": (change_json("head.dsse.json", lambda told: told.update(payloadType="x")), "another"),
    "a signature over other words": (other_statement, "no event of the chain"),
    "a signature left out": (drop_signoff, "sign-offs that are not here"),
    "a signature under another name": (
        change_json("signoffs/index.json", lambda rows: rows[0].update(printed_name="Mallory")), "another name"),
    "a signature for somebody else": (
        change_json("signoffs/index.json", lambda rows: rows[0].update({"for": 1})), "for somebody else"),
    "a signature in another role": (
        change_json("signoffs/index.json", lambda rows: rows[0].update(role="model_owner")), "another role"),
    "a signature that still counts": (
        change_json("signoffs/index.json", lambda rows: rows[0].update(voided_at="")), "still counts"),
    "a signature that ended": (
        change_json("signoffs/index.json", lambda rows: rows[1].update(voided_at="2026-01-01")), "still counts"),
    "other bindings than were signed": (change_json("parts/bindings.json", lambda told: told.update(x=1)), "bindings"),
    "another report than was signed": (change_json("parts/report.json", lambda told: told.update(x=1)), "report"),
    "another policy than was signed": (change_json("parts/policy.json", lambda told: told.update(x=1)), "policy"),
    "other results than were signed": (change_json("parts/results.json", lambda told: told.pop()), "results"),
    "other answers than were signed": (change_json("parts/answers.json", lambda told: told[0].pop()), "answers"),
    "another version": (change_json("handoff.json", lambda told: told["version"].update(digest="0" * 64)), "digest"),
    "another element": (lambda files: files | {"version/elements/runtime": b"{}"}, "not the one that was sealed"),
    "evidence that no answer names": (
        change_json("answers.json", lambda told: told.update(answers=[])), "not those that the answers name"),
    "another key under a name": (
        change_json("keys.json", lambda keys: keys[0].update(public_key="00" * 32)), "not called by its own hash"),
}  # fmt: skip


def test_even_the_site_s_own_key_makes_no_lie_hold(handoff: Handoff, place: Place, tmp_path: Path) -> None:
    """Sign each forgery anew with a key that is trusted: what lies below the manifest has proofs of its own."""
    files = files_in(made(handoff, place))
    keys = json.loads(files["keys.json"])
    own = {"id": key_id_of(raw := FORGER.public_key().public_bytes_raw()), "public_key": raw.hex()}
    both = files | {"keys.json": json.dumps([*keys, own]).encode()}
    names = [row["id"] for row in (*keys, own)]
    path = tmp_path / "pack.zip"
    path.write_bytes(zipped(listed_anew(both, key=FORGER)))
    assert holds(path, names)
    for name, (forge, words) in FORGERIES.items():
        path.write_bytes(zipped(listed_anew(forge(both), key=FORGER)))
        verdict = verify_pack.verify(str(path), names) if name != "another key under a name" else None
        if verdict is None:
            assert not holds(path, names)
            continue
        assert not verdict.whole, name
        assert words in verdict.lines[-1][1].lower(), (name, verdict.lines[-1])
    path.write_bytes(zipped(listed_anew(both, key=FORGER)))
    assert not holds(path, [keys[0]["id"]])


@pytest.mark.parametrize("case", ["no archive", "no manifest", "a path outside", "a name twice", "no file"])
def test_what_is_no_pack_is_told_with_code_2(case: str, tmp_path: Path) -> None:
    files = {"manifest.json": b"{}", "manifest.dsse.json": b"{}"}
    pack = zipped(files)
    if case == "no archive":
        pack = b"PK"
    elif case == "no manifest":
        pack = zipped({"x": b""})
    elif case == "a path outside":
        pack = zipped(files | {"../x": b""})
    elif case == "a name twice":
        with (out := BytesIO()) and pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(out, "w") as archive:
            archive.writestr("x", b"")
            archive.writestr("x", b"")
        pack = out.getvalue()
    if case == "no file":
        (tmp_path / "none").mkdir()
        assert verify_pack.main([str(tmp_path / "none" / "x.zip")]) == 2
        return
    code, told = verified(pack, tmp_path)
    assert (code, bool(told)) == (2, True)


def test_the_verifier_is_one_file_that_can_be_read() -> None:
    lines = Path(verify_pack.__file__).read_text().splitlines()
    assert len(lines) < 500
    imported = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_the_bill_of_materials_is_one_and_names_what_was_sealed(handoff: Handoff, place: Place) -> None:
    files = files_in(made(handoff, place))
    text = files["bom.cdx.json"].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    model = bom["metadata"]["component"]
    assert (model["type"], model["hashes"][0]["content"]) == ("machine-learning-model", handoff.version.digest)
    sealed = {row["sha256"] for row in json.loads(files["version/manifest.json"])["elements"]}
    assert {part["hashes"][0]["content"] for part in bom["components"] if part["type"] == "data"} == sealed
    card = files["model-card.md"].decode()
    assert handoff.model.purpose in card
    assert handoff.version.digest in card


def test_the_page_in_a_pack_stands_alone(handoff: Handoff, place: Place) -> None:
    files = files_in(made(handoff, place))
    page = files["index.html"].decode()
    assert all(word not in page for word in ("<script", "src=", "style=", "url(", "@import"))
    assert "Vera" in page
    links = set(re.findall(r'href="([^"]+)"', page))
    assert links <= files.keys()


def test_the_store_has_lost_a_file(handoff: Handoff, place: Place) -> None:
    default_storage.delete(path_of(sha256(b"the figures of the pilot").hexdigest()))
    with pytest.raises(Refused, match="cannot be read") as told:
        made(handoff, place)
    assert told.value.code == "evidence_lost"


@pytest.mark.django_db(transaction=True)
def test_while_another_seals_there_is_no_pack_without_a_proof(place: Place) -> None:
    """Not before anything was ever sealed, and not of an event that came since; what was asked for is on record."""
    handoff = walking.offered(place, building.a_version(place, 1))
    for made_before in (0, 1):
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as sealer:
            sealer.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            with pytest.raises(Refused, match="not sealed at the moment") as told:
                made(handoff, place)
        assert (told.value.code, told.value.todo) == ("trail_not_sealed", "Try again in a minute.")
        assert AuditEvent.objects.filter(action="pack.made").count() == 2 * made_before + 1
        assert made(handoff, place)


def test_a_pack_is_named_after_its_model_and_tells_what_it_holds(place: Place) -> None:
    other = walking.offered(place, building.a_version(place, 2, "other"))
    handoff = walking.offered(place, building.a_version(place, 1))
    found = packs.make(actor=Person(place.dana, "api"), handoff_id=str(handoff.pk))
    with found.archive as archive:
        files = files_in(archive.read())
    assert (found.filename, other.number, handoff.number) == ("tumours-handoff-2.zip", 1, 2)
    told = json.loads(files["manifest.json"])
    head = TreeHead.objects.latest("size")
    assert (told["pack"], told["site"], told["handoff"]) == (1, site_settings.SITE_URL, str(handoff.pk))
    assert told["head"] == {"size": head.size, "root": bytes(head.root).hex()}
    listed = [one["path"] for one in told["files"]]
    assert listed == sorted(files.keys() - verify_pack.UNLISTED)
    event = AuditEvent.objects.get(action="pack.made")
    assert (event.chain, event.told["data"]) == (f"handoff:{handoff.pk}", {"digest": handoff.version.digest})
