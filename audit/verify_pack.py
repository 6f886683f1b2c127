#!/usr/bin/env python3
"""Verify an evidence pack without the product, without a network, and without trust in whoever runs the site.

    python3 verify_pack.py PACK.zip --key NAME      # NAME: the key that the site told you by another way

Needs Python 3.11 and the package `cryptography`, nothing else; one file, so that it can be read before it is run. It
says in words what holds and what does not. The exit code is 0 when everything holds, 1 when something does not, and 2
when the file cannot be read as a pack.

What is proven: no file of the pack was changed, added or taken away since the site signed it; the events are one
chain without a gap, and lie in the tree whose head the site signed; the version is what its digest says; every
sign-off is on that chain, and those that count were given over exactly the answers, report, policy, bindings and
results that are here; adoptions, amendments and break-glass are signed, and on that chain. What is not: that the site
was not lied to, and that it tells of all handoffs there were.
"""

from __future__ import annotations

import argparse
import binascii
import json
import re
import struct
import sys
import zipfile
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest, sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

PACK = "application/vnd.mdlc.evidence-pack+json"
HEAD = "application/vnd.mdlc.tree-head+json"
STATEMENT = "application/vnd.in-toto+json"
INTENT = "urn:mdlc-handoff:intent-to-sign-off:1"
UNLISTED = {"manifest.json", "manifest.dsse.json"}
LARGEST = 4 * 1024**3
MARK = re.compile(r"name:[0-9a-f]{64}")
LEFT = re.compile(r"Person [0-9a-f]{8} \(left\)")
GIVEN = {"signoff.given", "signoff.refused", "signoff.changes_requested"}
ENDED = {"signoff.voided", "signoff.withdrawn", "signoff.expired", "signoff.revoked"}
ALSO_SIGNED = {"policy.adopted": "adoption", "amendment.signed": "amendment", "break_glass.confirmed": "break-glass"}
SHOWN = ("handoff", "gate", "requirement", "role", "decision", "meaning", "comment", "signed_at", "scope")
BY_KEY = ("authenticator_data", "client_data", "signature")
GLASS = ("gate", "reason", "incident", "role", "missing", "scope", "confirmed_at", "until")


class Unreadable(Exception):
    """The file is no pack that can be read."""


class Broken(Exception):
    """Something in the pack does not hold."""


class Pack:
    """The archive, opened strictly: plain names, each once, and nothing that unpacks without end."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        entries = archive.infolist()
        self.names = [entry.filename for entry in entries]
        if len(set(self.names)) != len(self.names):
            raise Unreadable("The archive names a file twice.")
        for entry in entries:
            parts = entry.filename.split("/")
            if ".." in parts or "" in parts or "\\" in entry.filename or ":" in entry.filename:
                raise Unreadable(f"The archive has a name that is not plain: {entry.filename!r}.")
        if sum(entry.file_size for entry in entries) > LARGEST:
            raise Unreadable("The archive unpacks to more than 4 GiB.")

    def read(self, name: str) -> bytes:
        """Return a file. Raises Broken when it is not there, or damaged."""
        try:
            return self.archive.read(name)
        except KeyError:
            raise Broken(f"{name} is missing") from None
        except Exception as error:  # whatever a decompressor raises
            raise Broken(f"{name} is damaged ({type(error).__name__})") from None

    def json(self, name: str) -> Any:
        """Return a JSON file, read strictly. Raises Broken."""
        return parsed(self.read(name), name)

    def hash_of(self, name: str) -> tuple[str, int]:
        """Return a file's SHA-256 and size; it is read in pieces. Raises Broken."""
        try:
            size = self.archive.getinfo(name).file_size
            with self.archive.open(name) as stream:
                return file_digest(stream, "sha256").hexdigest(), size  # type: ignore[arg-type]
        except Exception as error:
            raise Broken(f"{name} is damaged ({type(error).__name__})") from None


@dataclass(frozen=True)
class Verdict:
    """Sentences in the order in which they were looked at, each with whether it holds."""

    lines: list[tuple[bool, str]]

    @property
    def whole(self) -> bool:
        """Tell whether everything holds."""
        return all(good for good, _ in self.lines)


def parsed(raw: bytes, name: str) -> Any:
    """Return JSON, in which no name may stand twice. Raises Broken."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a name twice")
        return dict(pairs)

    try:
        return json.loads(raw.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Broken(f"{name} cannot be read as JSON ({error})") from None


def canonical(content: Any) -> bytes:
    """Return canonical JSON of plain text values, as RFC 8785 writes them."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def decoded(text: str) -> bytes:
    """Return bytes from base64 that is written in the one right way. Raises ValueError."""
    found = b64decode(text)
    if b64encode(found).decode() != text:
        raise ValueError("not canonical")
    return found


def opened(envelope: Any, kind: str, keys: dict[str, bytes], name: str) -> tuple[bytes, str]:
    """Return what a DSSE envelope holds and which key signed it. Raises Broken unless a signature holds."""
    try:
        payload = decoded(envelope["payload"])
        if envelope["payloadType"] != kind:
            raise Broken(f"{name} is signed as another kind of thing: {envelope['payloadType']}")
        signatures = [(one["keyid"], decoded(one["sig"])) for one in envelope["signatures"]]
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise Broken(f"{name} is no envelope that can be read") from None
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    for key, signature in signatures:
        if key in keys:
            try:
                Ed25519PublicKey.from_public_bytes(keys[key]).verify(signature, signed)
            except (InvalidSignature, ValueError):
                raise Broken(f"the signature of {name} does not hold") from None
            return payload, key
    raise Broken(f"no key that is known has signed {name}")


def in_tree(entry: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """Tell whether a path of hashes leads from a leaf to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, sha256(b"\x00" + entry).digest()
    for other in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = sha256(b"\x01" + other + found).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = sha256(b"\x01" + found + other).digest()
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def check_files(pack: Pack) -> str:
    """Prove every file against the manifest, and that nothing is there besides."""
    listed = {}
    for row in pack.json("manifest.json")["files"]:
        if row["path"] in listed or row["path"] in UNLISTED:
            raise Broken(f"the manifest lists {row['path']} twice, or lists itself")
        listed[row["path"]] = row
    there = set(pack.names) - UNLISTED
    if extra := sorted(there - listed.keys()):
        raise Broken("the archive has what the manifest does not list: " + ", ".join(extra[:5]))
    if missing := sorted(listed.keys() - there):
        raise Broken("the archive lacks what the manifest lists: " + ", ".join(missing[:5]))
    for name, row in listed.items():
        if pack.hash_of(name) != (row["sha256"], row["size"]):
            raise Broken(f"{name} is not what the manifest says")
    return f"All {len(listed)} files are what the manifest says, and nothing else is in the archive."


def known_keys(pack: Pack, trusted: list[str]) -> dict[str, bytes]:
    """Return the keys to go by: those of the pack, and where some are trusted, of them only those. Raises Broken."""
    keys = {row["id"]: bytes.fromhex(row["public_key"]) for row in pack.json("keys.json")}
    if odd := [name for name, raw in keys.items() if sha256(raw).hexdigest() != name]:
        raise Broken(f"a key is not called by its own hash: {odd[0]}")
    if not trusted:
        return keys
    found = {name: raw for name, raw in keys.items() if name in trusted}
    if not found:
        raise Broken("none of the keys in the pack is one that you trust")
    return found


def check_manifest(pack: Pack, keys: dict[str, bytes], trusted: list[str]) -> str:
    """Prove that the site signed the manifest, with a key that is trusted."""
    envelope = pack.json("manifest.dsse.json")
    if canonical(envelope) != pack.read("manifest.dsse.json"):
        raise Broken("the manifest's envelope is not in canonical form")
    payload, key = opened(envelope, PACK, keys, "the manifest")
    if payload != pack.read("manifest.json"):
        raise Broken("what was signed is not the manifest that is here")
    if trusted:
        return f"The manifest is signed by a key that you trust, {key}."
    return (
        f"The manifest is signed by the key {key}. NOBODY BUT THE SITE CAN TELL YOU whether that is its own: ask for"
        " its name by another way, and give it with --key."
    )


def signed_head(pack: Pack, keys: dict[str, bytes]) -> dict[str, Any]:
    """Return the tree's head, once its signature is proven. Raises Broken."""
    payload, _ = opened(pack.json("head.dsse.json"), HEAD, keys, "the tree's head")
    head: dict[str, Any] = parsed(payload, "the tree's head")
    told = pack.json("manifest.json")
    if (head["size"], head["root"], head["site"]) != (told["head"]["size"], told["head"]["root"], told["site"]):
        raise Broken("the head is not the one that the manifest names")
    return head


def read_events(pack: Pack, head: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the bodies of the handoff's events, once chain and places in the tree are proven. Raises Broken."""
    name = f"handoff:{pack.json('handoff.json')['id']}"
    previous, bodies = sha256(name.encode()).digest(), []
    root = bytes.fromhex(head["root"])
    for number, line in enumerate(pack.read("events.jsonl").splitlines(), 1):
        row = parsed(line, f"event {number}")
        digest = sha256(previous + struct.pack(">qq", row["seq"], row["at"]) + row["body"].encode()).digest()
        if row["seq"] != number:
            raise Broken(f"event {number} of the chain is missing, or stands elsewhere")
        if row["previous"] != previous.hex():
            raise Broken(f"event {number} does not join on the one before it")
        if row["hash"] != digest.hex():
            raise Broken(f"event {number} is not what was hashed")
        path = [bytes.fromhex(one) for one in row["path"]]
        if not in_tree(digest, row["leaf"], head["size"], path, root):
            raise Broken(f"event {number} is not in the tree whose head was signed")
        body = parsed(row["body"].encode(), f"event {number}")
        if body["chain"] != name:
            raise Broken(f"event {number} belongs to another chain")
        bodies.append(body)
        previous = digest
    if not bodies:
        raise Broken("there are no events")
    return bodies


def check_version(pack: Pack) -> str:
    """Prove that the version's manifest is what its digest says, and so are the small elements that are here."""
    raw = pack.read("version/manifest.json")
    digest = pack.json("handoff.json")["version"]["digest"]
    if sha256(raw).hexdigest() != digest:
        raise Broken("the version's manifest does not hash to the version's digest")
    elements = {row["name"]: row["sha256"] for row in parsed(raw, "version/manifest.json")["elements"]}
    shown = [name for name in pack.names if name.startswith("version/elements/")]
    if odd := [name for name in shown if elements.get(name.rpartition("/")[2]) != pack.hash_of(name)[0]]:
        raise Broken(f"the element {odd[0].rpartition('/')[2]} is not the one that was sealed")
    return f"The version is {digest}, and the {len(shown)} elements that are here are those that were sealed."


def parts_here(pack: Pack) -> dict[str, str]:
    """Return what a signature's scope has to name now, part by part."""
    about = pack.json("handoff.json")
    now = {name: pack.hash_of(f"parts/{name}.json")[0] for name in about["parts"]}
    now |= {"handoff": about["id"], "version": about["version"]["digest"]}
    return now | {"source": about["source"]["id"], "target": about["target"]["id"]}


def known_names(pack: Pack) -> dict[str, str]:
    """Return the names by the marks that were signed: SHA-256 over a salt and the name, which leavers have lost."""
    found = {}
    for row in pack.json("names.json") if "names.json" in pack.names else []:
        salt, name = row["salt"], row["name"]
        same = len(salt) == 64 and "name:" + sha256((salt + name).encode()).hexdigest() == row["mark"]
        if not same and (salt or not LEFT.fullmatch(name)):
            raise Broken(f"a name is not the one that was signed: {name}")
        found[row["mark"]] = name
    return found


def spoken(text: str, names: dict[str, str]) -> str:
    """Return a text with the names that its marks stand for."""
    return MARK.sub(lambda mark: names.get(mark[0], mark[0]), text)


def shows(shown: str, signed: str, names: dict[str, str]) -> bool:
    """Tell whether a name is shown as it was signed: by its mark, or, in older statements, itself or a pseudonym."""
    if MARK.search(signed):
        return spoken(signed, names) == shown
    here, there = shown.split(" for "), signed.split(" for ")
    return len(here) == len(there) and all(a == b or LEFT.fullmatch(a) for a, b in zip(here, there, strict=True))


def check_statement(pack: Pack, keys: Any, told: Any, name: str, what: str, envelope: bool = True) -> tuple[Any, str]:
    """Prove a signed statement by its keys and by the event that tells of it; return it and its hash. Raises Broken."""
    raw = pack.read(f"{name}.json")
    digest, stated = sha256(raw).hexdigest(), parsed(raw, name)
    says = stated.get("predicate", stated)  # an in-toto statement, or the form of earlier releases
    if digest not in told:
        raise Broken(f"no event of the chain tells of the {what}")
    if told[digest]["actor"]["id"] != says["person"]["account"]:
        raise Broken(f"the {what} was given by somebody else than it says")
    if envelope:
        payload, _ = opened(pack.json(f"{name}.dsse.json"), STATEMENT, keys, f"the {what}")
        if payload != raw:
            raise Broken(f"the envelope of the {what} holds another statement")
    if says["confirmed"]["method"] == "personal key":
        check_personal_key(pack, says, what)
    return says, digest


def check_signoffs(pack: Pack, keys: dict[str, bytes], events: list[dict[str, Any]]) -> list[str]:
    """Prove every sign-off, and return a sentence for each. Raises Broken."""
    told = {e["data"]["statement"]: e for e in events if e["action"] in GIVEN and "statement" in e["data"]}
    ended = {e["subject"] for e in events if e["action"] in ENDED}
    now, sentences, seen, names = parts_here(pack), [], set(), known_names(pack)
    for row in pack.json("signoffs/index.json"):
        what = f"sign-off {row['id']}"
        says, digest = check_statement(pack, keys, told, f"signoffs/{row['id']}", what, row["envelope"])
        for column in SHOWN:
            known = pack.json("handoff.json")["id"] if column == "handoff" else row[column]
            if says[column] != known:
                raise Broken(f"the {what} is shown with another {column} than was signed")
        if not shows(row["printed_name"], says["person"]["printed_name"], names):
            raise Broken(f"the {what} is shown under another name than was signed")
        if says.get("for", {}).get("account") != row.get("for"):
            raise Broken(f"the {what} is shown as given for somebody else than was signed")
        if sha256(canonical(says["scope"])).hexdigest() != says["scope_digest"]:
            raise Broken(f"the scope of the {what} does not hash to its digest")
        if told[digest]["subject"] != f"signoff:{row['id']}":
            raise Broken(f"no event of the chain tells of the {what}")
        if bool(row["voided_at"]) != (f"signoff:{row['id']}" in ended):
            raise Broken(f"whether the {what} still counts is not what the chain tells")
        sentences.append(_told(row, says, now, pack.json("handoff.json")["deployments"]))
        seen.add(digest)
    if lost := told.keys() - seen:
        raise Broken(f"the chain tells of {len(lost)} sign-offs that are not here")
    return sentences


def check_statements(pack: Pack, keys: dict[str, bytes], events: list[dict[str, Any]]) -> list[str]:
    """Prove what else was signed: adoptions, amendments and break-glass; return a sentence for each. Raises Broken."""
    told = {e["data"]["statement"]: e for e in events if e["action"] in ALSO_SIGNED}
    if not told and "statements/index.json" not in pack.names:
        return []  # a pack of an earlier release, which knew no such statements
    seen, glass, sentences, names = set(), [], [], known_names(pack)
    for row in pack.json("statements/index.json"):
        what = f"{row['kind']} {row['id']}"
        says, digest = check_statement(pack, keys, told, f"statements/{row['id']}", what)
        if ALSO_SIGNED[told[digest]["action"]] != row["kind"] or says["handoff"] != pack.json("handoff.json")["id"]:
            raise Broken(f"the {what} is another kind of thing, or of another handoff")
        seen.add(digest)
        glass += [{name: says[name] for name in GLASS}] if row["kind"] == "break-glass" else []
        sentences.append(f"{spoken(says['person']['printed_name'], names)} ({says['role']}) signed the {what}.")
    if lost := told.keys() - seen:
        raise Broken(f"the chain tells of {len(lost)} other signed statements that are not here")
    if glass != [{name: row[name] for name in GLASS} for row in pack.json("break_glass.json") if row["confirmed_at"]]:
        raise Broken("a break-glass is shown otherwise than it was confirmed")
    return sentences


def check_personal_key(pack: Pack, says: dict[str, Any], what: str) -> None:
    """Prove that the signer's own key signed this decision on this scope (WebAuthn, level 3, 7.2). Raises Broken."""
    told, keys = says["personal_key"], {row["id"]: row for row in pack.json("personal_keys.json")}
    key = keys.get(told["key"])
    if key is None or key["account"] != says["person"]["account"]:
        raise Broken(f"the key by which the {what} was confirmed is not here, or not its signer's")
    public = bytes.fromhex(key["public_key"])
    data, client, signature = (urlsafe_b64decode(told[name] + "==") for name in BY_KEY)
    meant = {"confirmation": says["confirmed"]["id"], "account": says["person"]["account"], "intent": INTENT}
    meant |= {name: says[name] for name in ("handoff", "requirement", "scope_digest", "decision", "meaning", "comment")}
    meant |= {"conditions": says.get("conditions", [])}
    asked = urlsafe_b64encode(sha256(canonical(meant)).digest()).decode().rstrip("=")
    told_by_browser = parsed(client, "what the browser says of a key")
    if sha256(public).hexdigest() != key["id"]:
        raise Broken(f"a personal key is not called by its own hash: {key['id']}")
    if told_by_browser["type"] != "webauthn.get" or told_by_browser["challenge"] != asked:
        raise Broken(f"the signer's own key signed something else than the {what}")
    if data[:32] != sha256(key["site"].encode()).digest() or data[32] & 5 != 5:
        raise Broken(f"the signer's own key was used elsewhere, or without its holder, for the {what}")
    _check_signature(public, signature, data + sha256(client).digest(), what)


def _check_signature(public: bytes, signature: bytes, signed: bytes, what: str) -> None:
    try:
        key: Any = load_der_public_key(public)
        if isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, signed, ECDSA(SHA256()))
        elif isinstance(key, RSAPublicKey):
            key.verify(signature, signed, PKCS1v15(), SHA256())
        else:
            key.verify(signature, signed)
    except (InvalidSignature, UnsupportedAlgorithm):
        raise Broken(f"the signature of the signer's own key does not hold for the {what}") from None


def _told(row: dict[str, Any], says: dict[str, Any], now: dict[str, str], deployments: list[str]) -> str:
    """Return one sign-off in words, once those that count are proven to be over what is here. Raises Broken."""
    who = f"{row['printed_name']} ({row['role']}) at {row['signed_at'][:19]}: {row['decision']}, {row['meaning']}"
    if row["voided_at"]:
        return f"{who}; ended since: {row['voided_because']}."
    moved = [name for name, value in says["scope"].items() if name != "deployment" and now.get(name) != value]
    if says["scope"].get("deployment", "") not in [*deployments, ""]:
        moved.append("deployment")
    if moved:
        raise Broken(f"the sign-off of {row['printed_name']} covers another {', '.join(moved)} than is here")
    by_key = ", and the signer's own key signed that" if "personal_key" in says else ""
    return f"{who}, over exactly what is here{by_key}."


def check_evidence(pack: Pack) -> str:
    """Prove that every file which an answer names is here, under its hash, and no other."""
    answers = pack.json("answers.json")["answers"]
    named = {proof["sha256"] for row in answers for proof in row["evidence"] if proof["sha256"]}
    here = {name.rpartition("/")[2] for name in pack.names if name.startswith("evidence/")}
    if named != here:
        raise Broken("the evidence files are not those that the answers name")
    if odd := [digest for digest in here if pack.hash_of(f"evidence/{digest}")[0] != digest]:
        raise Broken(f"the evidence {odd[0]} is another file")
    return f"The {len(here)} evidence files are those that the answers name."


def verify(path: str, trusted: list[str]) -> Verdict:
    """Verify a pack. Raises Unreadable when it cannot be read as one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _verdict(Pack(archive), trusted)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise Unreadable(f"{path} cannot be read as an archive: {error}") from None


def _verdict(pack: Pack, trusted: list[str]) -> Verdict:
    if not set(pack.names) >= UNLISTED:
        raise Unreadable("The archive has no signed manifest, so it is no evidence pack.")
    verdict = Verdict([])
    try:
        for sentence in _proven(pack, trusted):
            verdict.lines.append((True, sentence))
    except Broken as error:
        verdict.lines.append((False, str(error)[:1].upper() + str(error)[1:] + "."))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, struct.error, RecursionError) as error:
        told = f"A file of the pack is not of the form that it should have ({type(error).__name__}: {error})."
        verdict.lines.append((False, told))
    return verdict


def _proven(pack: Pack, trusted: list[str]) -> Iterator[str]:
    """Give a sentence for each thing that is proven. Raises Broken at the first that does not hold."""
    yield check_manifest(pack, known_keys(pack, trusted), trusted)
    yield check_files(pack)
    keys = known_keys(pack, [])  # the manifest vouches for the others
    head = signed_head(pack, keys)
    events = read_events(pack, head)
    yield (
        f"The {len(events)} events of the handoff are one chain without a gap, and lie in the tree of {head['size']}"
        f" events whose head the site signed at {head['at'][:19]}."
    )
    yield check_version(pack)
    yield from check_signoffs(pack, keys, events)
    yield from check_statements(pack, keys, events)
    yield check_evidence(pack)


def main(arguments: list[str] | None = None) -> int:
    """Verify the pack that is named, tell what holds, and return the exit code."""
    parser = argparse.ArgumentParser(description="Verify an evidence pack.")
    parser.add_argument("pack", help="the archive")
    parser.add_argument("--key", action="append", default=[], help="name of a key that you trust; may be given again")
    told = parser.parse_args(arguments)
    try:
        verdict = verify(told.pack, told.key)
    except (Unreadable, Broken) as error:
        print(error)
        return 2
    for good, words in verdict.lines:
        print(f"{'holds' if good else 'DOES NOT HOLD'}: {words}")
    print("Everything holds." if verdict.whole else "This pack proves nothing.")
    return 0 if verdict.whole else 1


if __name__ == "__main__":
    sys.exit(main())
