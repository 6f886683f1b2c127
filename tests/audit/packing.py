"""Evidence packs made by hand, without a site: whatever is changed in what one tells, its hashes and signatures fit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from struct import pack
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.assertions import base64url, challenge_of
from audit.envelopes import key_id_of, seal
from audit.marks import mark_of
from audit.merkle import Frontier, inclusion_places, proof
from handoff.rules.statements import KIND as STATEMENT
from handoff.rules.statements import intent_of, stated
from tests.handoff.authenticator import MADE, Token, token

SITE, OLD = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
NAME, OLD_NAME = (key_id_of(one.public_key().public_bytes_raw()) for one in (SITE, OLD))
PACK, HEAD = "application/vnd.mdlc.evidence-pack+json", "application/vnd.mdlc.tree-head+json"
URL, HANDOFF, DEPLOYMENT = "https://handoff.example", "the-handoff", "the-deployment"
DANA, VERA, OTTO, IRIS, RITA = range(2, 7)
SALT, GONE = "5a" * 32, "Person 0123abcd (left)"
NAMES = ("Vera Lang", "Otto Kern", "Rita Berg", "Iris Wolf")
OWN = {kind: token(kind) for kind in MADE}
FIGURES = b"the figures of the pilot"
Files = dict[str, bytes]
Told = dict[str, Any]


@dataclass
class Signed:
    """A signature: how an index shows it, what it states, and the event that tells of it, which lacks the hash."""

    row: Told
    says: Told
    event: Told
    by: Ed25519PrivateKey | None = SITE  # none in earlier releases, which stated by itself what is a predicate now

    @property
    def raw(self) -> bytes:
        """Return the statement."""
        return stated(self.says, version="0" * 64) if self.by else rfc8785.dumps(self.says)


def as_it_is(number: int, row: Told) -> None:
    """Let an event be as it is."""


@dataclass
class Pack:
    """What a pack tells. The events of the signatures stand between the first and the last ones."""

    about: Told
    parts: dict[str, Any]
    elements: Files
    answers: Told
    evidence: Files
    signoffs: list[Signed]
    others: list[Signed]
    glass: list[Told]
    names: list[Told]
    personal: list[Told]
    keys: list[Told]
    first: list[Told] = field(default_factory=list)
    last: list[Told] = field(default_factory=list)
    before_it_is_hashed: Callable[[int, Told], object] = as_it_is

    def packed(self, forge: Callable[[Files], Files] = dict, key: Ed25519PrivateKey = SITE, **manifest: Any) -> Files:
        """Return the files, forged before they are listed, with the manifest that lists them, signed by a key."""
        events, head = self._chained()
        files = forge(self._files() | {"events.jsonl": events, "head.dsse.json": enveloped(HEAD, head, SITE)})
        rows = [{"path": n, "sha256": sha256(raw).hexdigest(), "size": len(raw)} for n, raw in sorted(files.items())]
        told = {"files": rows, "head": {"root": head["root"], "size": head["size"]}, "site": URL} | manifest
        return {"manifest.json": rfc8785.dumps(told), "manifest.dsse.json": enveloped(PACK, told, key)} | files

    def _files(self) -> Files:
        content: dict[str, Any] = {
            "handoff.json": self.about,
            "answers.json": self.answers,
            "signoffs/index.json": [one.row for one in self.signoffs],
            "statements/index.json": [one.row for one in self.others],
            "break_glass.json": self.glass,
            "names.json": self.names,
            "personal_keys.json": self.personal,
            "keys.json": self.keys,
            **{f"parts/{name}.json": part for name, part in self.parts.items()},
            "version/manifest.json": manifest_of(self.elements),
        }
        files = {name: rfc8785.dumps(one) for name, one in content.items()}
        files |= {f"version/elements/{name}": raw for name, raw in self.elements.items() if name != "model"}
        files |= {f"evidence/{name}": raw for name, raw in self.evidence.items()}
        for folder, signed in (("signoffs", self.signoffs), ("statements", self.others)):
            for one in signed:
                files[f"{folder}/{one.row['id']}.json"] = one.raw
                if one.by:
                    files[f"{folder}/{one.row['id']}.dsse.json"] = seal(STATEMENT, one.raw, one.by).encode()
        return files

    def _chained(self) -> tuple[bytes, Told]:
        """Return the events as one chain, and the head of a tree in which they lie among others."""
        chain, rows = f"handoff:{HANDOFF}", list[Told]()
        both = self.signoffs + self.others
        signed = [{**one.event, "data": {"statement": sha256(one.raw).hexdigest()}} for one in both]
        previous, entries = sha256(chain.encode()).digest(), [b"elsewhere"]
        for number, told in enumerate([*self.first, *signed, *self.last], 1):
            body = rfc8785.dumps({"actor": {"id": DANA}, "chain": chain, "data": {}, "subject": chain} | told).decode()
            row = {"seq": number, "at": 10**15 + number, "body": body, "previous": previous.hex(), "leaf": len(entries)}
            self.before_it_is_hashed(number, row)
            previous = sha256(previous + pack(">qq", row["seq"], row["at"]) + row["body"].encode()).digest()
            rows.append({"hash": previous.hex()} | row)
            entries += [previous, b"elsewhere %d" % number]
        tree, nodes = Frontier(), {}
        for entry in entries:
            nodes |= {(level, place): found for level, place, found in tree.append(entry)}
        for row in rows:
            row["path"] = [one.hex() for one in proof(inclusion_places(row["leaf"], tree.size), nodes.__getitem__)]
        head = {"at": "2026-11-23T08:00:00.5+00:00", "root": tree.root.hex(), "site": URL, "size": tree.size}
        return b"".join(rfc8785.dumps(row) + b"\n" for row in rows), head


def enveloped(kind: str, content: Any, key: Ed25519PrivateKey) -> bytes:
    """Return the envelope of canonical JSON."""
    return seal(kind, rfc8785.dumps(content), key).encode()


def manifest_of(elements: Files) -> Told:
    """Return the manifest of a version."""
    return {"elements": [{"name": name, "sha256": sha256(raw).hexdigest()} for name, raw in elements.items()]}


def digest_of(content: Any) -> str:
    """Return the SHA-256 of canonical JSON."""
    return sha256(rfc8785.dumps(content)).hexdigest()


def public(own: Token) -> bytes:
    """Return the public half of somebody's own key."""
    return bytes(own.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def key_row(own: Token, account: int) -> Told:
    """Return how a pack tells of somebody's own key."""
    raw = public(own)
    return {"id": sha256(raw).hexdigest(), "account": account, "site": own.site, "public_key": raw.hex()}


def confirm(says: Told, own: Token) -> None:
    """Let somebody's own key sign what is stated so far."""
    says["confirmed"] = {"id": "a-question", "method": "personal key"}
    answer = own.signed({"challenge": base64url(challenge_of(intent_of(says)))})
    answer.pop("credential")
    says["personal_key"] = {"key": sha256(public(own)).hexdigest(), **answer}


def mark(name: str) -> str:
    """Return the mark of a name under the one salt."""
    return mark_of(SALT, name)


def a_signoff(key: str, who: int, name: str, scope: Told, **more: Any) -> Signed:
    """Return a sign-off of somebody, approving."""
    says: Told = {
        "signoff": key, "handoff": HANDOFF, "gate": "review", "requirement": "validation", "role": "validator",
        "decision": "approve", "meaning": "review", "comment": "Geprüft.", "signed_at": "2026-11-20T09:30:59+00:00",
        "scope": scope, "scope_digest": digest_of(scope), "person": {"account": who, "printed_name": mark(name)},
        "confirmed": {"id": "a-question", "method": "password"},
    }  # fmt: skip
    says |= more
    shown = ("gate", "requirement", "role", "decision", "meaning", "comment", "signed_at", "scope")
    row = {one: says[one] for one in shown} | {"id": key, "printed_name": name, "envelope": True, "for": None}
    row |= {"voided_at": "", "voided_because": ""}
    return Signed(row, says, {"action": "signoff.given", "actor": {"id": who}, "subject": f"signoff:{key}"})


def another(kind: str, action: str, who: int, name: str, role: str, **more: Any) -> Signed:
    """Return what else somebody signed."""
    says = {"handoff": HANDOFF, "role": role, "person": {"account": who, "printed_name": mark(name)}}
    says |= {"confirmed": {"id": "a-question", "method": "password"}, **more}
    key = f"the-{kind}"
    return Signed({"kind": kind, "id": key}, says, {"action": action, "actor": {"id": who}, "subject": f"{kind}:{key}"})


def a_pack() -> Pack:
    """Return a pack that holds, with one of each kind of signature: for somebody, ended, by own keys, of old."""
    parts: dict[str, Any] = {"answers": [["purpose", "yes"]], "bindings": {}, "policy": {}, "report": {}, "results": []}
    elements = {"runtime": b"{}", "golden": b"[]", "model": b"too large for a pack"}
    version = digest_of(manifest_of(elements))
    scope = {name: digest_of(part) for name, part in parts.items()} | {"handoff": HANDOFF, "version": version}
    scope |= {"source": "the-source", "target": "the-target"}
    first = a_signoff("one", VERA, "Vera Lang", scope, **{"for": {"account": RITA}})
    first.says["person"]["printed_name"] = f"{mark('Vera Lang')} for {mark('Rita Berg')}"
    first.row |= {"printed_name": "Vera Lang for Rita Berg", "for": RITA}
    ended = a_signoff("two", OTTO, "Otto Kern", scope | {"report": "0" * 64}, decision="refuse")
    ended.row |= {"voided_at": "2026-11-21T10:00:00+00:00", "voided_because": "withdrawn by the signer: too early"}
    ended.by = OLD
    own = []
    for kind, condition in (("es256", {"conditions": [{"text": "Mend it."}]}), ("eddsa", {}), ("rs256", {})):
        one = a_signoff(kind, OTTO, "Otto Kern", scope | {"deployment": DEPLOYMENT}, gate="release", **condition)
        confirm(one.says, OWN[kind])
        own.append(one)
    old = a_signoff("old", IRIS, "Iris Wolf", scope)
    old.says["person"]["printed_name"], old.row["printed_name"] = "Iris Wolf for Old Name", f"Iris Wolf for {GONE}"
    old.row["envelope"], old.by = False, None
    names = ("gate", "reason", "incident", "role", "missing", "scope", "confirmed_at", "until")
    glass = {name: f"some {name}" for name in names if name != "role"}
    return Pack(
        about={
            "id": HANDOFF, "version": {"digest": version}, "source": {"id": "the-source"},
            "target": {"id": "the-target"}, "deployments": ["another-deployment", DEPLOYMENT], "parts": sorted(parts),
        },
        parts=parts,
        elements=elements,
        answers={"answers": [
            {"evidence": [{"sha256": ""}, {"sha256": sha256(FIGURES).hexdigest()}]}, {"evidence": []},
        ]},
        evidence={sha256(FIGURES).hexdigest(): FIGURES},
        signoffs=[first, ended, *own, old],
        others=[
            another("adoption", "policy.adopted", DANA, "Dana Novak", "model_owner"),
            another("amendment", "amendment.signed", IRIS, "Iris Wolf", "integration_owner"),
            another("break-glass", "break_glass.confirmed", RITA, "Rita Berg", "risk_compliance", **glass),
        ],
        glass=[glass | {"role": "risk_compliance"}, {"confirmed_at": ""}],
        names=[
            *({"mark": mark(one), "name": one, "salt": SALT} for one in NAMES),
            {"mark": mark("Dana Novak"), "name": GONE, "salt": ""},
        ],
        personal=[key_row(one, OTTO) for one in OWN.values()],
        keys=[
            {"id": name, "public_key": key.public_key().public_bytes_raw().hex()}
            for name, key in ((OLD_NAME, OLD), (NAME, SITE))
        ],
        first=[{"action": "handoff.offered"}, {"action": "signoff.given", "subject": "signoff:before-statements"}],
        last=[{"action": "signoff.withdrawn", "subject": "signoff:two"}, {"action": "pack.made"}],
    )  # fmt: skip
