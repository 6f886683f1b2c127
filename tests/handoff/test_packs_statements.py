"""Evidence packs hold what else was signed, adoptions, amendments and break-glass, and each lie about it is found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit import verify_pack
from audit.actors import Person
from audit.models import SigningKey
from handoff.models import Handoff
from handoff.services import packs, policies
from tests.handoff import amending, building, test_adoptions, test_break_glass, walking
from tests.handoff.test_packs import FORGER, Files, change_json, files_in, holds, listed_anew, verified, zipped
from tests.handoff.walking import by

pytestmark = pytest.mark.django_db


def adopted() -> Handoff:
    """Return a handoff in review that adopted a stricter policy."""
    site = walking.a_site()
    found = walking.answered(site)
    policies.publish(actor=by(site.ada), source=test_adoptions.STRICTER)
    test_adoptions.by_service(found, site.vera, test_adoptions.seen_of(found, site.vera))
    return found


def amended() -> Handoff:
    """Return a handoff whose deployment was amended."""
    place = amending.streamed(building.a_place())
    deployment = amending.live(place)
    amending.sign(amending.proposed(deployment, place.otto), place.iris)
    return deployment.handoff


def broken() -> Handoff:
    """Return a handoff for which the glass was broken."""
    place = building.a_place()
    found = test_break_glass.ready(place)
    test_break_glass.broken(place, found)
    return found


def drop(files: Files) -> Files:
    """Leave the statement out."""
    kept = {name: raw for name, raw in files.items() if not name.startswith("statements/")}
    return kept | {"statements/index.json": b"[]"}


def say_otherwise(files: Files) -> Files:
    """Let the statement say something else."""
    name = f"statements/{json.loads(files['statements/index.json'])[0]['id']}.json"
    told = json.loads(files[name])
    told["predicate"]["role"] = "model_owner"
    return files | {name: verify_pack.canonical(told)}


LIES: dict[str, tuple[Callable[[Files], Files], str]] = {
    "left out": (drop, "that are not here"),
    "said otherwise": (say_otherwise, "no event of the chain tells"),
    "as another kind": (
        change_json("statements/index.json", lambda rows: rows[0].update(kind="x")), "another kind of thing"),
    "told twice in another envelope": (
        lambda files: files | {
            name: raw.replace(b'"sig":"', b'"sig":"AAAA') for name, raw in files.items()
            if name.startswith("statements/") and name.endswith("dsse.json")},
        "does not hold"),
}  # fmt: skip


@pytest.mark.parametrize(("made", "kind"), [(adopted, "adoption"), (amended, "amendment"), (broken, "break-glass")])
def test_what_else_was_signed_is_proven_without_the_product(
    made: Callable[[], Handoff], kind: str, tmp_path: Path, store: Any
) -> None:
    handoff = made()
    with packs.make(actor=Person(handoff.offered_by, "api"), handoff_id=str(handoff.pk)).archive as archive:  # type: ignore[arg-type]
        pack = archive.read()
    code, told = verified(pack, tmp_path, "--key", SigningKey.objects.get().pk)
    assert code == 0, told
    assert told.count(f"signed the {kind}") == 1
    files = files_in(pack)
    assert b"What else was signed" in files["index.html"]
    lies = dict(LIES)
    if kind == "break-glass":
        later = change_json("break_glass.json", lambda rows: rows[0].update(until="2036-01-01T00:00:00+00:00"))
        lies["until later"] = (later, "otherwise than it was confirmed")
    own = {"id": verify_pack.sha256(raw := FORGER.public_key().public_bytes_raw()).hexdigest(), "public_key": raw.hex()}
    keys = [*json.loads(files["keys.json"]), own]
    path = tmp_path / "forged.zip"
    for lie, (forge, words) in lies.items():
        forged = forge(files | {"keys.json": json.dumps(keys).encode()})
        path.write_bytes(zipped(listed_anew(forged, key=FORGER)))
        verdict = verify_pack.verify(str(path), [key["id"] for key in keys])
        assert not verdict.whole, lie
        assert words in verdict.lines[-1][1].lower(), (lie, verdict.lines[-1])
    path.write_bytes(pack)
    assert holds(path, [keys[0]["id"]])
