"""The verifier of evidence packs, which needs nothing of the product: it tells what holds, and names each lie."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import verify_pack
from audit.assertions import base64url, challenge_of
from audit.envelopes import key_id_of, seal
from audit.marks import mark_of
from audit.merkle import Frontier, Place, inclusion_places, leaf_hash, node_hash, proof
from audit.verify_pack import Unreadable, in_tree, verify
from handoff.rules.statements import intent_of
from tests.audit.packing import (
    DANA,
    FIGURES,
    GONE,
    HEAD,
    NAME,
    OLD,
    OLD_NAME,
    OWN,
    RITA,
    SALT,
    SITE,
    STATEMENT,
    VERA,
    Files,
    Pack,
    Signed,
    Told,
    a_pack,
    confirm,
    digest_of,
    enveloped,
    mark,
)
from tests.handoff.authenticator import token
from tests.handoff.test_packs import zipped

STRANGER = Ed25519PrivateKey.from_private_bytes(b"\x03" * 32)
EVIDENCE = sha256(FIGURES).hexdigest()
VERSION = a_pack().about["version"]["digest"]
BY_KEY = (
    "Otto Kern (validator) at 2026-11-20T09:30:59: approve, review, over exactly what is here, and the signer's own"
)
HOLDS = [
    f"The manifest is signed by a key that you trust, {NAME}.",
    "All 36 files are what the manifest says, and nothing else is in the archive.",
    "The 13 events of the handoff are one chain without a gap, and lie in the tree of 27 events whose head the site"
    " signed at 2026-11-23T08:00:00.",
    f"The version is {VERSION}, and the 2 elements that are here are those that were sealed.",
    "Vera Lang for Rita Berg (validator) at 2026-11-20T09:30:59: approve, review, over exactly what is here.",
    "Otto Kern (validator) at 2026-11-20T09:30:59: refuse, review; ended since: withdrawn by the signer: too early.",
    *[f"{BY_KEY} key signed that."] * 3,
    f"Iris Wolf for {GONE} (validator) at 2026-11-20T09:30:59: approve, review, over exactly what is here.",
    f"{GONE} (model_owner) signed the adoption the-adoption.",
    "Iris Wolf (integration_owner) signed the amendment the-amendment.",
    "Rita Berg (risk_compliance) signed the break-glass the-break-glass.",
    "The 1 evidence files are those that the answers name.",
]
NOBODY = "NOBODY BUT THE SITE CAN TELL YOU whether that is its own: ask for its name by another way, and give it with"
Lie = Callable[[Pack], object]
Forgery = Callable[[Files], Files]


def told_of(files: Files | bytes, folder: Path, *trusted: str) -> list[tuple[bool, str]]:
    """Return what is told of a pack to somebody who trusts some keys."""
    (folder / "pack.zip").write_bytes(files if isinstance(files, bytes) else zipped(files))
    return verify(str(folder / "pack.zip"), list(trusted)).lines


def broken(files: Files | bytes, folder: Path, *trusted: str) -> str:
    """Return the last sentence of what is told of a pack, the only one that does not hold."""
    *before, (holds, sentence) = told_of(files, folder, *(trusted or (NAME,)))
    assert not holds
    assert [told for holds, told in before if not holds] == []
    return sentence


def test_what_holds_is_told_sentence_by_sentence(tmp_path: Path) -> None:
    assert told_of(a_pack().packed(), tmp_path, NAME) == [(True, sentence) for sentence in HOLDS]


def test_whoever_trusts_no_key_is_told_to_ask_for_it(tmp_path: Path) -> None:
    first = f"The manifest is signed by the key {NAME}. {NOBODY} --key."
    assert told_of(a_pack().packed(), tmp_path) == [(True, sentence) for sentence in [first, *HOLDS[1:]]]


def test_only_a_key_that_is_trusted_signs_the_manifest(tmp_path: Path) -> None:
    """The others prove what was signed earlier, as the manifest vouches for them."""
    by_old = a_pack().packed(key=OLD)
    assert told_of(by_old, tmp_path, OLD_NAME)[0] == (True, HOLDS[0].replace(NAME, OLD_NAME))
    assert broken(by_old, tmp_path) == "No key that is known has signed the manifest."
    assert broken(a_pack().packed(key=STRANGER), tmp_path) == "No key that is known has signed the manifest."
    assert broken(by_old, tmp_path, "0" * 64) == "None of the keys in the pack is one that you trust."
    assert all(holds for holds, _ in told_of(a_pack().packed(), tmp_path, "0" * 64, OLD_NAME, NAME))


def test_a_pack_of_an_earlier_release_holds_without_what_it_did_not_know(tmp_path: Path) -> None:
    """It has neither marks of names, nor other signed statements, nor envelopes."""
    pack = a_pack()
    pack.others, pack.signoffs, pack.glass = [], pack.signoffs[-1:], []
    files = pack.packed(without("names.json", "statements/index.json"))
    assert [told for _, told in told_of(files, tmp_path, NAME)[4:]] == [HOLDS[9], HOLDS[-1]]


@pytest.mark.parametrize("deployments", [[], ["another"]])
def test_a_signature_on_no_deployment_is_good_whatever_was_deployed(deployments: list[str], tmp_path: Path) -> None:
    pack = a_pack()
    pack.signoffs, pack.about["deployments"] = pack.signoffs[:2], deployments
    pack.signoffs[0].says["scope"]["deployment"] = pack.signoffs[0].row["scope"]["deployment"] = ""
    pack.signoffs[0].says["scope_digest"] = digest_of(pack.signoffs[0].says["scope"])
    assert [told for _, told in told_of(pack.packed(), tmp_path, NAME)[4:6]] == HOLDS[4:6]


def without(*names: str) -> Forgery:
    """Return a forgery that takes files away."""
    return lambda files: {name: raw for name, raw in files.items() if name not in names}


def put(name: str, raw: bytes) -> Forgery:
    """Return a forgery that puts a file there."""
    return lambda files: files | {name: raw}


def first_of(name: str) -> Forgery:
    """Return a forgery that leaves the first row of an index out."""
    return lambda files: files | {name: rfc8785.dumps(json.loads(files[name])[1:])}


def hashed(number: int, **row: Any) -> Lie:
    """Return a lie about an event, which is hashed and lies in the tree as it is."""
    return lambda pack: setattr(pack, "before_it_is_hashed", lambda at, told: told.update(row if at == number else {}))


def reworded(number: int, was: str, becomes: str) -> Lie:
    """Return a lie about an event by other words."""

    def change(at: int, told: Told) -> None:
        told["body"] = told["body"].replace(was, becomes, 1) if at == number else told["body"]

    return lambda pack: setattr(pack, "before_it_is_hashed", change)


EVENTS: dict[str, tuple[Lie, str]] = {
    "a number that was left out": (hashed(3, seq=4), "Event 3 of the chain is missing, or stands elsewhere."),
    "not the first one": (hashed(1, previous="0" * 64), "Event 1 does not join on the one before it."),
    "not the next one": (hashed(3, previous="0" * 64), "Event 3 does not join on the one before it."),
    "another hash": (hashed(3, hash="0" * 64), "Event 3 is not what was hashed."),
    "another leaf": (hashed(3, leaf=3), "Event 3 is not in the tree whose head was signed."),
    "of another handoff": (reworded(3, '"handoff:', '"handoff:other-'), "Event 3 belongs to another chain."),
    "a name twice": (reworded(3, "{", '{"chain":"x",'), "Event 3 cannot be read as JSON (a name twice)."),
}  # fmt: skip


def no_events(pack: Pack) -> None:
    """Leave all events out."""
    pack.first, pack.last, pack.signoffs, pack.others = [], [], [], []


def named(**row: str) -> Lie:
    """Return a lie about the name that a mark stands for."""
    return lambda pack: pack.names.append({"mark": mark("x"), "name": GONE, "salt": ""} | row)


ODD_NAME = "A name is not the one that was signed: "
CONTENT: dict[str, tuple[Lie, str]] = {
    "no events": (no_events, "There are no events."),
    "another version": (
        lambda pack: pack.about["version"].update(digest="0" * 64),
        "The version's manifest does not hash to the version's digest."),
    "another name": (lambda pack: pack.names[0].update(name="Mallory"), f"{ODD_NAME}Mallory."),
    "a name with a short salt": (
        named(mark=mark_of(SALT[2:], "Mallory"), name="Mallory", salt=SALT[2:]), f"{ODD_NAME}Mallory."),
    "a name without a salt": (named(mark=mark_of("", "Mallory"), name="Mallory"), f"{ODD_NAME}Mallory."),
    "nearly a pseudonym": (named(name=f"{GONE}!"), f"{ODD_NAME}{GONE}!."),
    "a pseudonym with a salt": (named(salt=SALT), f"{ODD_NAME}{GONE}."),
    "evidence that no answer names": (
        lambda pack: pack.answers.update(answers=[]), "The evidence files are not those that the answers name."),
    "evidence that is not there": (
        lambda pack: pack.evidence.clear(), "The evidence files are not those that the answers name."),
    "evidence that is another file": (
        lambda pack: pack.evidence.update({EVIDENCE: b"x"}), f"The evidence {EVIDENCE} is another file."),
    "a key under another name": (
        lambda pack: pack.keys[0].update(id="0" * 64), f"A key is not called by its own hash: {'0' * 64}."),
    "no handoff": (
        lambda pack: pack.about.pop("id"),
        "A file of the pack is not of the form that it should have (KeyError: 'id')."),
}  # fmt: skip


def shown(number: int, **row: Any) -> Lie:
    """Return a lie in how a sign-off is shown."""
    return lambda pack: pack.signoffs[number].row.update(row)


def said(number: int, **says: Any) -> Lie:
    """Return a lie in what a sign-off states, and in how it is shown."""

    def lie(pack: Pack) -> None:
        one = pack.signoffs[number]
        one.says.update(says)
        one.row.update({name: value for name, value in says.items() if name in one.row})

    return lie


def otherwise(number: int, **event: Any) -> Lie:
    """Return a lie in the event that tells of a sign-off."""
    return lambda pack: pack.signoffs[number].event.update(event)


SOMEBODY_ELSE = "is shown as given for somebody else than was signed."
SIGNOFFS: dict[str, tuple[Lie, str]] = {
    "no event of it": (otherwise(0, action="x"), "No event of the chain tells of the sign-off one."),
    "an event of another": (otherwise(0, subject="signoff:x"), "No event of the chain tells of the sign-off one."),
    "given by another": (
        otherwise(0, actor={"id": DANA}), "The sign-off one was given by somebody else than it says."),
    "of another handoff": (said(0, handoff="x"), "The sign-off one is shown with another handoff than was signed."),
    "another name": (
        shown(0, printed_name="Mallory"), "The sign-off one is shown under another name than was signed."),
    "of old, another name": (
        shown(5, printed_name="Iris Wolf"), "The sign-off old is shown under another name than was signed."),
    "for nobody": (shown(0, **{"for": None}), f"The sign-off one {SOMEBODY_ELSE}"),
    "for somebody": (shown(1, **{"for": RITA}), f"The sign-off two {SOMEBODY_ELSE}"),
    "another digest of its scope": (
        said(0, scope_digest="0" * 64), "The scope of the sign-off one does not hash to its digest."),
    "ended": (
        shown(0, voided_at="2026"), "Whether the sign-off one still counts is not what the chain tells."),
    "not ended": (
        shown(1, voided_at=""), "Whether the sign-off two still counts is not what the chain tells."),
    "another source": (
        lambda pack: pack.about["source"].update(id="x"),
        "The sign-off of Vera Lang for Rita Berg covers another source than is here."),
    "another target": (
        lambda pack: pack.about["target"].update(id="x"),
        "The sign-off of Vera Lang for Rita Berg covers another target than is here."),
    "another deployment": (
        lambda pack: pack.about.update(deployments=["another-deployment"]),
        "The sign-off of Otto Kern covers another deployment than is here."),
    "no deployment": (
        lambda pack: pack.about.update(deployments=[]),
        "The sign-off of Otto Kern covers another deployment than is here."),
    **{f"another {column}": (
        shown(0, **{column: {} if column == "scope" else "x"}),
        f"The sign-off one is shown with another {column} than was signed.")
        for column in ("gate", "requirement", "role", "decision", "meaning", "comment", "signed_at", "scope")},
}  # fmt: skip


def of_other(number: int, **more: Any) -> Lie:
    """Return a lie in what else was signed."""
    return lambda pack: pack.others[number].says.update(more)


def untold(*numbers: int) -> Lie:
    """Return a lie that keeps quiet about some of what else was signed."""
    return lambda pack: [pack.others[number].event.update(action="x") for number in numbers]


GLASS = "A break-glass is shown otherwise than it was confirmed."
OTHERS: dict[str, tuple[Lie, str]] = {
    "an adoption that is told as an amendment": (
        lambda pack: pack.others[0].event.update(action="amendment.signed"),
        "The adoption the-adoption is another kind of thing, or of another handoff."),
    "of another handoff": (
        of_other(1, handoff="x"), "The amendment the-amendment is another kind of thing, or of another handoff."),
    "no event of one": (untold(1), "No event of the chain tells of the amendment the-amendment."),
    "no event of any": (untold(0, 1, 2), "No event of the chain tells of the adoption the-adoption."),
    "a glass until later": (lambda pack: pack.glass[0].update(until="x"), GLASS),
    "a glass twice": (lambda pack: pack.glass.append(pack.glass[0]), GLASS),
    "a glass that was not broken": (lambda pack: pack.glass.pop(0), GLASS),
}  # fmt: skip


@pytest.mark.parametrize("case", [*EVENTS.values(), *CONTENT.values(), *SIGNOFFS.values(), *OTHERS.values()])
def test_a_lie_is_named_though_all_that_is_hashed_and_signed_fits_it(case: tuple[Lie, str], tmp_path: Path) -> None:
    (lie, sentence), pack = case, a_pack()
    lie(pack)
    assert broken(pack.packed(), tmp_path) == sentence


ONE = a_pack().signoffs[0]
UNREADABLE = "The sign-off one is no envelope that can be read."


def sealed_otherwise(raw: bytes, kind: str = STATEMENT, by: Ed25519PrivateKey = SITE) -> Forgery:
    """Return a forgery of the first sign-off's envelope."""
    return put("signoffs/one.dsse.json", seal(kind, raw, by).encode())


def reenveloped(was: bytes, becomes: bytes) -> Forgery:
    """Return a forgery in the first sign-off's envelope."""

    def forge(files: Files) -> Files:
        found = files["signoffs/one.dsse.json"].replace(was, becomes)
        assert found != files["signoffs/one.dsse.json"]
        return files | {"signoffs/one.dsse.json": found}

    return forge


def written_otherwise(files: Files) -> Files:
    """Write the same signature of an envelope in another way: bits that nobody reads are set."""
    told = json.loads(files["signoffs/one.dsse.json"])
    signature = told["signatures"][0]["sig"]
    assert signature[-3] in "AQgw"
    told["signatures"][0]["sig"] = f"{signature[:-3]}{chr(ord(signature[-3]) + 1)}=="
    return files | {"signoffs/one.dsse.json": json.dumps(told).encode()}


FORGED: dict[str, tuple[Forgery, str]] = {
    "another element": (
        put("version/elements/golden", b"{}"), "The element golden is not the one that was sealed."),
    "an element too many": (put("version/elements/x", b"{}"), "The element x is not the one that was sealed."),
    "another statement in its envelope": (
        sealed_otherwise(b"{}"), "The envelope of the sign-off one holds another statement."),
    "signed as another kind": (
        sealed_otherwise(ONE.raw, "x"), "The sign-off one is signed as another kind of thing: x."),
    "signed by a stranger": (
        sealed_otherwise(ONE.raw, by=STRANGER), "No key that is known has signed the sign-off one."),
    "signed by a stranger under our name": (
        put("signoffs/one.dsse.json", seal(STATEMENT, ONE.raw, STRANGER).encode().replace(
            key_id_of(STRANGER.public_key().public_bytes_raw()).encode(), NAME.encode())),
        "The signature of the sign-off one does not hold."),
    "an envelope without anything": (put("signoffs/one.dsse.json", b"{}"), UNREADABLE),
    "an envelope that is none": (put("signoffs/one.dsse.json", b"7"), UNREADABLE),
    "an envelope in no base64": (reenveloped(b'"sig":"', b'"sig":"!'), UNREADABLE),
    "an envelope in other base64": (written_otherwise, UNREADABLE),
    "no statement": (without("signoffs/one.json"), "Signoffs/one.json is missing."),
    "a sign-off that is not shown": (
        first_of("signoffs/index.json"), "The chain tells of 1 sign-offs that are not here."),
    "an adoption that is not shown": (
        first_of("statements/index.json"), "The chain tells of 1 other signed statements that are not here."),
    "nothing else that was signed": (without("statements/index.json"), "Statements/index.json is missing."),
    "a part less": (without("parts/report.json"), "Parts/report.json is damaged (KeyError)."),
    "two other parts": (
        lambda files: files | {"parts/report.json": b"", "parts/answers.json": b""},
        "The sign-off of Vera Lang for Rita Berg covers another answers, report than is here."),
    "no keys that can be read": (
        put("keys.json", b'[{"id":"x","id":"y"}]'), "Keys.json cannot be read as JSON (a name twice)."),
    "the head as another kind": (
        put("head.dsse.json", enveloped("x", {}, SITE)), "The tree's head is signed as another kind of thing: x."),
    "a head of a stranger": (
        put("head.dsse.json", enveloped(HEAD, {}, STRANGER)), "No key that is known has signed the tree's head."),
    **{f"another {part}": (
        put(f"parts/{part}.json", b"7"), f"The sign-off of Vera Lang for Rita Berg covers another {part} than is here.")
        for part in ("answers", "bindings", "policy", "report", "results")},
}  # fmt: skip


@pytest.mark.parametrize("case", FORGED)
def test_a_file_that_was_forged_is_named_though_the_manifest_lists_it(case: str, tmp_path: Path) -> None:
    forge, sentence = FORGED[case]
    assert broken(a_pack().packed(forge), tmp_path) == sentence


@pytest.mark.parametrize("raw", [b"\xff", b"{", b"[" * 100_000])
def test_what_is_no_json_is_told(raw: bytes, tmp_path: Path) -> None:
    assert broken(a_pack().packed(put("keys.json", raw)), tmp_path).startswith("Keys.json cannot be read as JSON (")


def test_of_several_signatures_one_by_a_known_key_is_enough(tmp_path: Path) -> None:
    def forge(files: Files) -> Files:
        told = json.loads(files["head.dsse.json"])
        told["signatures"].insert(0, {"keyid": "0" * 64, "sig": "AAAA"})
        return files | {"head.dsse.json": json.dumps(told).encode()}

    assert all(holds for holds, _ in told_of(a_pack().packed(forge), tmp_path, NAME))


def rows_of(files: Files) -> list[Told]:
    """Return what a manifest lists."""
    rows: list[Told] = json.loads(files["manifest.json"])["files"]
    return rows


ROWS = rows_of(a_pack().packed())
NOT_THE_HEAD = "The head is not the one that the manifest names."
MANIFESTS: dict[str, tuple[Told, str]] = {
    "a file twice": ({"files": [*ROWS, ROWS[0]]}, "The manifest lists answers.json twice, or lists itself."),
    "itself": (
        {"files": [*ROWS, {"path": "manifest.json"}]}, "The manifest lists manifest.json twice, or lists itself."),
    "another size": (
        {"files": [ROWS[0] | {"size": ROWS[0]["size"] + 1}, *ROWS[1:]]}, "Answers.json is not what the manifest says."),
    "another hash": (
        {"files": [ROWS[0] | {"sha256": "0" * 64}, *ROWS[1:]]}, "Answers.json is not what the manifest says."),
    "another site": ({"site": "x"}, NOT_THE_HEAD),
}  # fmt: skip


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_that_lists_something_else_is_not_believed(case: str, tmp_path: Path) -> None:
    lie, sentence = MANIFESTS[case]
    files = a_pack().packed(**lie)
    assert broken(files, tmp_path) == sentence


@pytest.mark.parametrize("lie", [{"size": 28}, {"root": "0" * 64}])
def test_the_manifest_names_the_head(lie: Told, tmp_path: Path) -> None:
    head = json.loads(a_pack().packed()["manifest.json"])["head"]
    assert broken(a_pack().packed(head=head | lie), tmp_path) == NOT_THE_HEAD


CHANGED: dict[str, tuple[Forgery, str]] = {
    "a file": (put("tests.json", b""), "The archive has what the manifest does not list: tests.json."),
    "six files too many": (
        lambda files: files | {f"x{number}": b"" for number in range(6)},
        "The archive has what the manifest does not list: x0, x1, x2, x3, x4."),
    "six files too few": (
        lambda files: {name: raw for name, raw in files.items() if name[:5] not in ("names", "parts")},
        "The archive lacks what the manifest lists: names.json, parts/answers.json, parts/bindings.json,"
        " parts/policy.json, parts/report.json."),
    "another content": (put("names.json", b"[]"), "Names.json is not what the manifest says."),
    "no keys": (without("keys.json"), "Keys.json is missing."),
    "another manifest": (
        lambda files: files | {"manifest.json": files["manifest.json"] + b" "},
        "What was signed is not the manifest that is here."),
    "an envelope with room in it": (
        lambda files: files | {"manifest.dsse.json": files["manifest.dsse.json"] + b"\n"},
        "The manifest's envelope is not in canonical form."),
    "an envelope in another order": (
        lambda files: files | {"manifest.dsse.json": turned_round(files["manifest.dsse.json"])},
        "The manifest's envelope is not in canonical form."),
    "an envelope of another kind": (
        lambda files: files | {"manifest.dsse.json": seal("x", files["manifest.json"], SITE).encode()},
        "The manifest is signed as another kind of thing: x."),
}  # fmt: skip


def turned_round(raw: bytes) -> bytes:
    """Return an object with its names in another order."""
    told = dict(reversed(json.loads(raw).items()))
    return json.dumps(told, separators=(",", ":")).encode()


@pytest.mark.parametrize("case", CHANGED)
def test_an_archive_that_was_changed_afterwards_is_found(case: str, tmp_path: Path) -> None:
    change, sentence = CHANGED[case]
    assert broken(change(a_pack().packed()), tmp_path) == sentence


@pytest.mark.parametrize("name", ["keys.json", f"evidence/{EVIDENCE}"])
def test_a_file_that_does_not_unpack_is_told(name: str, tmp_path: Path) -> None:
    files = a_pack().packed()
    raw = zipped(files)
    at = raw.index(files[name])
    sentence = broken(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :], tmp_path)
    assert sentence == f"{name[:1].upper()}{name[1:]} is damaged (BadZipFile)."


def test_a_key_of_another_length_proves_nothing(tmp_path: Path) -> None:
    pack, short = a_pack(), b"short"
    pack.keys.append({"id": key_id_of(short), "public_key": short.hex()})
    files = pack.packed()
    files["manifest.dsse.json"] = files["manifest.dsse.json"].replace(NAME.encode(), key_id_of(short).encode())
    assert broken(files, tmp_path, key_id_of(short)) == "The signature of the manifest does not hold."


# The signer's own key.


def by_own_key(pack: Pack, kind: str = "es256") -> Signed:
    """Return the sign-off that was confirmed by the signer's own key of a kind."""
    return next(one for one in pack.signoffs if one.row["id"] == kind)


@pytest.mark.parametrize(
    "change",
    [
        {"confirmed": {"id": "another-question", "method": "personal key"}}, {"conditions": []}, {"handoff": "x"},
        {"requirement": "x"}, {"scope_digest": "0" * 64}, {"decision": "refuse"}, {"meaning": "x"}, {"comment": "x"},
    ],
)  # fmt: skip
def test_an_own_key_that_signed_something_else_is_found(change: Told, tmp_path: Path) -> None:
    pack = a_pack()
    by_own_key(pack).says.update(change)
    assert broken(pack.packed(), tmp_path) == "The signer's own key signed something else than the sign-off es256."


def test_an_own_key_signs_for_its_holder_only(tmp_path: Path) -> None:
    pack = a_pack()
    pack.personal[0]["account"] = VERA
    sentence = "The key by which the sign-off es256 was confirmed is not here, or not its signer's."
    assert broken(pack.packed(), tmp_path) == sentence
    by_own_key(pack).event["actor"] = {"id": VERA}
    by_own_key(pack).says["person"]["account"] = VERA
    assert broken(pack.packed(), tmp_path) == "The signer's own key signed something else than the sign-off es256."
    pack = a_pack()
    del pack.personal[0]
    assert broken(pack.packed(), tmp_path) == sentence


@pytest.mark.parametrize(
    "more", [{"site": "evil.example"}, {"flags": 1}, {"flags": 4}, {"flags": 0, "counter": 5 << 24}]
)
def test_an_own_key_that_was_used_elsewhere_or_without_its_holder_proves_nothing(more: Told, tmp_path: Path) -> None:
    pack = a_pack()
    confirm(by_own_key(pack).says, OWN["es256"].but(**more))
    sentence = "The signer's own key was used elsewhere, or without its holder, for the sign-off es256."
    assert broken(pack.packed(), tmp_path) == sentence


@pytest.mark.parametrize("kind", OWN)
def test_a_signature_of_another_key_under_the_name_of_the_own_one_does_not_hold(kind: str, tmp_path: Path) -> None:
    pack, other = a_pack(), OWN[kind].but(private=token(kind).private)
    says = by_own_key(pack, kind).says
    name = says["personal_key"]["key"]
    confirm(says, other)
    says["personal_key"]["key"] = name
    sentence = f"The signature of the signer's own key does not hold for the sign-off {kind}."
    assert broken(pack.packed(), tmp_path) == sentence


def test_an_own_key_that_registers_signs_nothing(tmp_path: Path) -> None:
    """Its signature holds, but the browser says that it was asked for another thing."""
    pack, own = a_pack(), OWN["eddsa"]
    says = by_own_key(pack, "eddsa").says
    client = own.client("create", base64url(challenge_of(intent_of(says))))
    signature = own.private.sign(own.data() + sha256(client).digest())
    says["personal_key"] |= {"client_data": base64url(client), "signature": base64url(signature)}
    assert broken(pack.packed(), tmp_path) == "The signer's own key signed something else than the sign-off eddsa."


def test_an_own_key_is_called_by_its_hash(tmp_path: Path) -> None:
    pack = a_pack()
    pack.personal[0]["id"] = by_own_key(pack).says["personal_key"]["key"] = "0" * 64
    assert broken(pack.packed(), tmp_path) == f"A personal key is not called by its own hash: {'0' * 64}."


def test_an_own_key_of_a_kind_that_nobody_knows_proves_nothing(tmp_path: Path) -> None:
    raw, pack = bytes.fromhex("300b300506032a030403020001"), a_pack()
    pack.personal[0] |= {"id": sha256(raw).hexdigest(), "public_key": raw.hex()}
    by_own_key(pack).says["personal_key"]["key"] = sha256(raw).hexdigest()
    sentence = "The signature of the signer's own key does not hold for the sign-off es256."
    assert broken(pack.packed(), tmp_path) == sentence


# Trees and archives.


def grown(size: int) -> tuple[bytes, dict[Place, bytes]]:
    """Return the root and all whole subtrees of a tree."""
    tree, nodes = Frontier(), {}
    for number in range(size):
        nodes |= {(level, place): found for level, place, found in tree.append(bytes([number]))}
    return tree.root, nodes


@pytest.mark.parametrize("size", range(1, 34))
def test_a_leaf_is_in_a_tree_at_its_own_place_only(size: int) -> None:
    root, nodes = grown(size)
    for index in range(size):
        entry, path = bytes([index]), proof(inclusion_places(index, size), nodes.__getitem__)
        places = [place for place in range(-1, size + 1) if in_tree(entry, place, size, path, root)]
        assert places == [index]
        assert not in_tree(b"x", index, size, path, root)
        assert not in_tree(entry, index, size, path, b"x")
        assert not in_tree(entry, index, size, [*path, b"x"], root)
        assert not path or not in_tree(entry, index, size, path[:-1], root)


def test_no_root_is_made_to_fit_a_place_outside_or_a_path_of_another_length() -> None:
    a, b, more = (leaf_hash(entry) for entry in (b"a", b"b", b"more"))
    assert in_tree(b"a", 0, 1, [], a)
    assert not in_tree(b"a", 1, 1, [], a)
    assert not in_tree(b"a", 0, 1, [more], node_hash(more, a))
    assert not in_tree(b"a", 0, 2, [b, more], node_hash(more, node_hash(a, b)))
    assert not in_tree(b"a", 0, 2, [], a)


SIGNED = {"manifest.json": b"{}", "manifest.dsse.json": b"{}"}


@pytest.mark.parametrize("name", ["folder/", "../x", "x/../y", "/x", "x//y", "x\\y", "C:x", ".."])
def test_an_archive_with_a_name_that_is_not_plain_is_not_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable) as told:
        told_of(SIGNED | {name: b""}, tmp_path)
    assert str(told.value) == f"The archive has a name that is not plain: {name!r}."


def test_an_archive_that_names_a_file_twice_is_not_read(tmp_path: Path) -> None:
    raw = zipped(SIGNED | {"x": b"", "y": b""}).replace(b"y", b"x")
    with pytest.raises(Unreadable, match=r"^The archive names a file twice\.$"):
        told_of(raw, tmp_path)


@pytest.mark.parametrize("name", SIGNED)
def test_an_archive_without_a_signed_manifest_is_no_pack(name: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"^The archive has no signed manifest, so it is no evidence pack\.$"):
        told_of(without(name)(SIGNED), tmp_path)
    assert broken(SIGNED, tmp_path) == "Keys.json is missing."


def test_an_archive_unpacks_to_four_gib_and_no_more(tmp_path: Path) -> None:
    for more, sizes in ((0, [2**31, 2**31]), (1, [2**31, 2**31 + 1])):
        raw, at = bytearray(zipped(SIGNED)), 0
        for size in sizes:
            at = raw.index(b"PK\x01\x02", at + 1)
            raw[at + 24 : at + 28] = size.to_bytes(4, "little")
        if not more:
            assert broken(bytes(raw), tmp_path) == "Keys.json is missing."
            continue
        with pytest.raises(Unreadable, match=r"^The archive unpacks to more than 4 GiB\.$"):
            told_of(bytes(raw), tmp_path)


def with_first_entry(**bytes_at: int) -> bytes:
    """Return an archive whose list of files has other bytes in its first row: the offset of each is its name."""
    raw = bytearray(zipped({"x": b""} | SIGNED))
    for name, value in bytes_at.items():
        raw[raw.index(b"PK\x01\x02") + int(name[1:])] = value
    return bytes(raw)


OF_A_LATER_RELEASE = with_first_entry(_6=0xFF)
NAMED_IN_NO_UTF_8 = with_first_entry(_9=0x08, _46=0xFF)


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    for raw in (b"", b"PK", zipped(SIGNED)[:-30], OF_A_LATER_RELEASE, NAMED_IN_NO_UTF_8):
        with pytest.raises(Unreadable, match="cannot be read as an archive: "):
            told_of(raw, tmp_path)
    with pytest.raises(Unreadable, match="cannot be read as an archive: "):
        verify(str(tmp_path / "nowhere.zip"), [])


def test_the_program_tells_each_sentence_and_ends_with_a_code(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "pack.zip"
    path.write_bytes(zipped(a_pack().packed()))
    assert verify_pack.main([str(path), "--key", OLD_NAME, "--key", NAME]) == 0
    assert capsys.readouterr().out.splitlines() == [f"holds: {one}" for one in HOLDS] + ["Everything holds."]
    assert verify_pack.main([str(path), "--key", OLD_NAME]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "DOES NOT HOLD: No key that is known has signed the manifest.", "This pack proves nothing.",
    ]  # fmt: skip
    path.write_bytes(zipped(a_pack().packed(without("statements/index.json"))))
    assert verify_pack.main([str(path)]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "DOES NOT HOLD: Statements/index.json is missing.", "This pack proves nothing.",
    ]  # fmt: skip
    path.write_bytes(zipped({"x": b""}))
    assert verify_pack.main([str(path)]) == 2
    assert capsys.readouterr().out == "The archive has no signed manifest, so it is no evidence pack.\n"
