"""HTTP out: rows as a JSON POST, signed when a secret is named, and with a key that lets the receiver see twins.

The signature is that of https://www.standardwebhooks.com/: base64 of HMAC-SHA256 over id.timestamp.body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import time
from urllib.parse import urlsplit

import orjson
import urllib3

from engine.errors import StreamError
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.descriptors import Stream
from engine.streams.rows import KEY, Rows

CONNECT_S = 5
TIMEOUT = urllib3.Timeout(connect=CONNECT_S, read=20)
LARGEST_ANSWER = 64_000


class WebhookSink:
    """Posts {"records": [...]} to one URL. An answer of 2xx accepts them all; no redirect is followed."""

    def __init__(self, stream: Stream, schema: Schema, *, secret: str, reach: Reach) -> None:
        """Check the address and open a pool. Raises StreamError."""
        self._url = stream.location["url"]
        self._secret, self._reach = secret.encode(), reach
        self._pool = self._connect()

    def write(self, rows: Rows) -> None:
        """Post all rows. Raises StreamError when the receiver does not accept them."""
        records = [{KEY: key, **record} for key, record in zip(rows.keys, rows.records, strict=True)]
        body = orjson.dumps({"records": records})
        name = hashlib.sha256("\n".join(rows.keys).encode()).hexdigest()[:32]
        headers = {"Content-Type": "application/json", "webhook-id": name, "Idempotency-Key": name}
        headers["webhook-timestamp"] = stamp = str(int(time.time()))
        if self._secret:
            content = b".".join([name.encode(), stamp.encode(), body])
            signature = base64.b64encode(hmac.digest(self._secret, content, "sha256")).decode()
            headers["webhook-signature"] = f"v1,{signature}"
        parts = urlsplit(self._url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            answer = self._pool.urlopen(
                "POST",
                target,
                body=body,
                headers=headers | {"Host": parts.netloc},
                redirect=False,
                retries=False,
                preload_content=False,
            )
            answer.read(LARGEST_ANSWER)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise StreamError("unreachable", f"The webhook does not answer: {error}.", field="location.url") from error
        if answer.status in (401, 403):
            raise StreamError("access_denied", f"The webhook refuses access ({answer.status}).", field="secret")
        if not 200 <= answer.status < 300:
            raise StreamError("target_refuses", f"The webhook answers {answer.status}.", field="location.url")

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _connect(self) -> urllib3.HTTPConnectionPool:
        parts = urlsplit(self._url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        address = self._reach.address(host, port)
        if parts.scheme == "https":
            return urllib3.HTTPSConnectionPool(
                address, port, timeout=TIMEOUT, maxsize=4, assert_hostname=host, server_hostname=host
            )
        return urllib3.HTTPConnectionPool(address, port, timeout=TIMEOUT, maxsize=4)


def ask(stream: Stream, *, secret: str, reach: Reach) -> None:
    """Connect to the receiver, and say nothing. Raises StreamError."""
    parts = urlsplit(stream.location["url"])
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((reach.address(parts.hostname or "", port), port), CONNECT_S).close()
    except OSError as error:
        raise StreamError("unreachable", f"The webhook does not answer: {error}.", field="location.url") from error
