"""Heads anchored outside: at a real webhook, and by a real time-stamping authority, which OpenSSL is here."""

import base64
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from guardian.shortcuts import assign_perm
from rest_framework.test import APIClient

from audit import tasks
from audit.head_anchors import Anchored, anchor_outside, verify_anchors
from audit.models import Account, HeadAnchor, TreeHead
from audit.sealing import seal_all
from audit.verification import Broken
from models_registry.models import RegisteredModel
from tests.audit.building import as_owner_of, write_chain

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="a time-stamping authority needs the program openssl")
CONFIG = """
[tsa]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
"""


class Authority:
    """Keys and certificates of a time-stamping authority, and its answers."""

    def __init__(self, folder: Path, name: str = "Time") -> None:
        """Make a root, and a certificate under it that may stamp."""
        folder.mkdir()
        self.folder, self.now = folder, datetime.now(UTC)
        root_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
        root = self._certificate(f"{name} root", root_key.public_key(), f"{name} root", root_key, stamps=False)
        own = self._certificate(f"{name} authority", key.public_key(), f"{name} root", root_key, stamps=True)
        self.roots = folder / "root.pem"
        self.roots.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        (folder / "tsa.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        (folder / "tsa.key").write_bytes(pem)
        (folder / "serial").write_text("01")
        (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))

    def answer(self, query: bytes) -> bytes:
        """Return the stamp for a query."""
        (self.folder / "query").write_bytes(query)
        command = [OPENSSL or "openssl", "ts", "-reply", "-queryfile", "query", "-config", "tsa.cnf"]
        command += ["-section", "tsa", "-out", "answer"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        return (self.folder / "answer").read_bytes()

    def _certificate(
        self, name: str, key: rsa.RSAPublicKey, issuer: str, by: rsa.RSAPrivateKey, *, stamps: bool
    ) -> x509.Certificate:
        subject, signer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, issuer))
        builder = x509.CertificateBuilder(signer, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(self.now - timedelta(days=1)).not_valid_after(self.now + timedelta(days=9))
        builder = builder.add_extension(x509.BasicConstraints(ca=not stamps, path_length=None), critical=True)
        if stamps:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(by, hashes.SHA256())


class Outside(ThreadingHTTPServer):
    """Places outside: /hook keeps what it is sent, /stamp stamps, /large/9 answers 9 bytes, others fail in some way."""

    def __init__(self, authority: Authority | None) -> None:
        """Listen on a free port of this machine."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.authority = authority
        self.kept: list[bytes] = []
        self.meanwhile: Callable[[], object] = list
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Outside
    known: ClassVar[set[str]] = {"/hook", "/stamp", "/stale"}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = b""
        if self.path == "/moved":
            self.send_response(307)
            self.send_header("Location", "/hook")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path == "/hook":
            self.server.kept.append(body)
            self.server.meanwhile()
        elif self.path.startswith("/large/"):
            answer = b"x" * int(self.path.rpartition("/")[2])
        elif self.server.authority is not None and self.path in ("/stamp", "/stale"):
            answer = self._stamp(body)
        self.send_response(200 if self.path in self.known or answer else 500)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _stamp(self, query: bytes) -> bytes:
        """Stamp; /stale repeats its first answer for ever, as somebody would who replays."""
        assert self.server.authority is not None
        first = self.server.authority.folder / "first"
        if self.path == "/stale" and first.exists():
            return first.read_bytes()
        found = self.server.authority.answer(query)
        first.write_bytes(found)
        return found

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def outside(tmp_path: Path, settings: Any) -> Iterator[Outside]:
    """Run the places, and let the settings name the webhook and the authority."""
    authority = Authority(tmp_path / "tsa")
    found = Outside(authority)
    settings.TIME_STAMP_ROOTS = str(authority.roots)
    settings.ANCHOR_WEBHOOKS = [f"{found.url}/hook"]
    settings.TIME_STAMPS = [f"{found.url}/stamp"] if OPENSSL else []
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def head(db: None) -> TreeHead:
    """Seal a chain, and return the head."""
    write_chain("handoff:a", 20)
    found = seal_all()
    assert found is not None
    return found


def test_nothing_is_anchored_where_nothing_is_sealed_or_configured(outside: Outside, db: None, settings: Any) -> None:
    assert anchor_outside() == Anchored()
    write_chain("handoff:a", 1)
    found = seal_all()
    assert found is not None
    settings.ANCHOR_WEBHOOKS = settings.TIME_STAMPS = []
    assert anchor_outside() == Anchored(found.size)
    assert (HeadAnchor.objects.count(), outside.kept) == (0, [])


def test_a_webhook_gets_the_signed_head_once(outside: Outside, head: TreeHead, settings: Any) -> None:
    settings.TIME_STAMPS = []
    for _ in range(2):
        assert anchor_outside() == Anchored(head.size, settings.ANCHOR_WEBHOOKS)
    assert outside.kept == [head.envelope.encode()]
    anchor = head.anchors.get()
    assert (anchor.kind, anchor.place, anchor.stamped_at, bytes(anchor.stamp)) == (
        "webhook", f"{outside.url}/hook", None, b"",
    )  # fmt: skip
    write_chain("handoff:b", 1)
    newer = seal_all()
    assert newer is not None
    tasks.anchor_outside()
    assert outside.kept == [head.envelope.encode(), newer.envelope.encode()]


@needs_openssl
def test_a_time_stamp_proves_when_the_head_was_there(
    outside: Outside, head: TreeHead, tmp_path: Path, settings: Any
) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    assert anchor_outside().failed == {}
    stamp = head.anchors.get(kind="time_stamp")
    assert stamp.stamped_at is not None
    assert began <= stamp.stamped_at <= datetime.now(UTC)
    assert verify_anchors() == (1, [])
    # Whoever has OpenSSL and the authority's root needs nothing of ours to see it.
    (tmp_path / "stamp.tsr").write_bytes(bytes(stamp.stamp))
    (tmp_path / "head.json").write_text(head.envelope)
    command = [str(OPENSSL), "ts", "-verify", "-data", "head.json", "-in", "stamp.tsr"]
    command += ["-CAfile", settings.TIME_STAMP_ROOTS]
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "head.json").write_text(head.envelope + " ")
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode != 0


@needs_openssl
@pytest.mark.parametrize("place", ["nowhere", "moved", "broken", "stale", "hook"])
def test_a_place_that_fails_keeps_no_other_from_the_head(
    outside: Outside, head: TreeHead, settings: Any, place: str
) -> None:
    good = f"{outside.url}/stamp"
    bad = "http://127.0.0.1:9/" if place == "nowhere" else f"{outside.url}/{place}"
    if place == "stale":
        settings.ANCHOR_WEBHOOKS, settings.TIME_STAMPS = [], [bad]
        assert anchor_outside().failed == {}
        write_chain("handoff:b", 1)
        seal_all()
    settings.ANCHOR_WEBHOOKS, settings.TIME_STAMPS = [f"{outside.url}/hook"], [bad, good]
    before = HeadAnchor.objects.count()
    found = anchor_outside()
    assert list(found.failed) == [bad]
    assert found.places == [f"{outside.url}/hook", good]
    assert HeadAnchor.objects.count() == before + 2
    assert not HeadAnchor.objects.filter(kind="time_stamp", place=bad, head_id=found.size).exists()
    assert len(outside.kept) == (2 if place == "hook" else 1)  # a redirection was not followed
    with pytest.raises(CommandError, match=bad):
        call_command("anchor_audit")


@pytest.mark.parametrize(("size", "taken"), [(64 * 1024, True), (64 * 1024 + 1, False)])
def test_a_place_says_no_more_than_is_read(
    size: int, taken: bool, outside: Outside, head: TreeHead, settings: Any
) -> None:
    place = f"{outside.url}/large/{size}"
    settings.ANCHOR_WEBHOOKS, settings.TIME_STAMPS = [place], []
    failed = {} if taken else {place: "its answer is larger than 65536 bytes"}
    assert anchor_outside() == Anchored(head.size, [place] if taken else [], failed)
    assert head.anchors.count() == taken


@pytest.mark.parametrize(("path", "why"), [("gone", "it answered 500"), ("moved", "it answered 307")])
def test_why_a_place_failed_is_told(path: str, why: str, outside: Outside, head: TreeHead, settings: Any) -> None:
    nowhere = "http://127.0.0.1:9/"
    settings.ANCHOR_WEBHOOKS, settings.TIME_STAMPS = [f"{outside.url}/{path}", nowhere, f"{outside.url}/hook"], []
    found = anchor_outside()
    assert found.places == [f"{outside.url}/hook"]
    assert found.failed.pop(nowhere).startswith("it cannot be reached: ")
    assert found.failed == {f"{outside.url}/{path}": why}


def test_another_process_may_have_told_the_head_meanwhile(
    transactional_db: None, outside: Outside, head: TreeHead, settings: Any
) -> None:
    settings.TIME_STAMPS = []

    def tell() -> None:
        HeadAnchor.objects.create(head=head, kind="webhook", place=f"{outside.url}/hook")
        connection.close()

    outside.meanwhile = tell
    assert anchor_outside() == Anchored(head.size, settings.ANCHOR_WEBHOOKS)
    assert head.anchors.count() == 1


def test_a_head_that_the_database_does_not_take_is_not_said_to_be_known(
    outside: Outside, head: TreeHead, settings: Any
) -> None:
    """Though another place has it, and this one has stamped it."""
    settings.TIME_STAMPS, place = [], f"{outside.url}/hook"
    HeadAnchor.objects.create(head=head, kind="webhook", place="elsewhere")
    HeadAnchor.objects.create(head=head, kind="time_stamp", place=place, stamped_at=datetime.now(UTC), stamp=b"x")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE audit_headanchor ADD CONSTRAINT no_more CHECK (kind = 'none') NOT VALID")
    with pytest.raises(IntegrityError, match="no_more"):
        anchor_outside()


@needs_openssl
def test_a_stamp_of_somebody_else_is_not_kept(outside: Outside, head: TreeHead, settings: Any, tmp_path: Path) -> None:
    settings.TIME_STAMP_ROOTS = str(Authority(tmp_path / "other", "Other").roots)
    assert "proves nothing" in anchor_outside().failed[f"{outside.url}/stamp"]
    settings.TIME_STAMP_ROOTS = str(tmp_path / "gone.pem")
    assert "MDLC_TIME_STAMP_ROOTS" in anchor_outside().failed[f"{outside.url}/stamp"]
    assert not head.anchors.filter(kind="time_stamp").exists()


@needs_openssl
def test_all_stamps_are_proven_each_for_itself(outside: Outside, head: TreeHead, tmp_path: Path, settings: Any) -> None:
    """Those of two heads, of which one was written anew, among what webhooks took."""
    settings.ANCHORS = str(tmp_path / "none")
    anchor_outside()
    write_chain("handoff:b", 1)
    seal_all()
    anchor_outside()
    out = StringIO()
    call_command("verify_audit", state=str(tmp_path / "state"), stdout=out)
    assert "\n2 time stamps of heads\n" in out.getvalue()
    as_owner_of(
        "audit_treehead",
        "UPDATE audit_treehead SET envelope = replace(envelope, 'payload', 'payloap') WHERE size = %s",
        [head.pk],
    )
    count, broken = verify_anchors()
    assert (count, [(one.chain, one.seq, one.rule) for one in broken]) == (2, [("the tree", head.size, "time_stamp")])


@needs_openssl
def test_a_head_written_anew_does_not_fit_its_stamp(outside: Outside, head: TreeHead, tmp_path: Path) -> None:
    anchor_outside()
    as_owner_of(
        "audit_treehead",
        "UPDATE audit_treehead SET envelope = replace(envelope, 'payload', 'payloap') WHERE size = %s",
        [head.pk],
    )
    count, [broken] = verify_anchors()
    assert (count, broken.chain, broken.seq, broken.rule) == (1, "the tree", head.size, "time_stamp")
    assert broken.message.startswith(f"the time stamp of {outside.url}/stamp: it proves nothing: ")
    with pytest.raises(CommandError, match="time stamp"):
        call_command("verify_audit", anchors=None, state=str(tmp_path / "state"))


@needs_openssl
def test_a_stamp_whose_time_was_changed_is_told(outside: Outside, head: TreeHead) -> None:
    anchor_outside()
    as_owner_of(
        "audit_headanchor",
        "UPDATE audit_headanchor SET stamped_at = stamped_at - interval '1 year' WHERE kind = %s",
        ["time_stamp"],
    )
    kept = head.anchors.get(kind="time_stamp")
    assert kept.stamped_at is not None
    true = kept.stamped_at.replace(year=kept.stamped_at.year + 1)
    words = f"the time stamp of {kept.place} tells {true.isoformat()}, the record {kept.stamped_at}"
    assert verify_anchors() == (1, [Broken("the tree", head.size, "time_stamp", words)])


@pytest.mark.parametrize("attack", ["update", "delete", "twice", "without a stamp"])
def test_the_database_keeps_anchors(outside: Outside, head: TreeHead, settings: Any, attack: str) -> None:
    settings.TIME_STAMPS = []
    anchor_outside()
    rows, values = HeadAnchor.objects.all(), {"head": head, "kind": "webhook", "place": f"{outside.url}/hook"}
    attacks: dict[str, Any] = {
        "update": lambda: rows.update(place="elsewhere"),
        "delete": rows.delete,
        "twice": lambda: rows.create(**values),
        "without a stamp": lambda: rows.create(**{**values, "kind": "time_stamp"}),
    }
    before = list(rows.values())
    with pytest.raises(DatabaseError), transaction.atomic():
        attacks[attack]()
    assert list(rows.values()) == before


def test_those_who_audit_see_where_a_head_is_known(outside: Outside, head: TreeHead) -> None:
    anchor_outside()
    dana = Account.objects.create(username="dana")
    model = RegisteredModel.objects.create(slug="churn", name="Churn", purpose="p", owner_team="t", created_by=dana)
    assign_perm("hold_risk_compliance", dana, model)
    write_chain(f"model:{model.pk}", 1)
    client = APIClient()
    client.force_login(dana)
    row = client.get("/api/v1/audit/heads/").json()["results"][0]
    told = {(one["place"], base64.b64decode(one["stamp"])) for one in row["anchors"]}
    assert told == {(one.place, bytes(one.stamp)) for one in head.anchors.all()}
    assert f"{outside.url}/hook" in client.get("/audit/heads/").content.decode()
