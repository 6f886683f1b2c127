"""The clinic's own systems, as far as the demo needs them: patients arrive in a stream, and alerts are received.

`python -m mdlc_site.sample.clinic --home HOME --port PORT` runs beside the demo. A few arrivals are broken on purpose:
a text for a number, a value that cannot be, half a message.
"""

import argparse
import base64
import hmac
import itertools
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import redis

ARRIVALS = 5  # the database of Valkey that the clinic has to itself
PATIENTS = "patients"
KEY_FILE = "engine-secrets/ALERTS_KEY"
AT_ONCE = 120
EVERY_S = 1.0
BROKEN_EVERY = 20
KEPT = 10_000
LARGEST = 1 << 20


class Alerts:
    """What the clinic's alert service was told, counted; a message whose signature is wrong is refused."""

    def __init__(self, key: bytes) -> None:
        """Take messages that are signed with this key."""
        self.key, self.received, self.refused = key, 0, 0
        self._known: dict[str, None] = {}
        self._lock = threading.Lock()

    def take(self, name: str, stamp: str, signature: str, body: bytes) -> bool:
        """Count the records of a message once, however often it comes. Return whether it is let in."""
        content = b".".join([name.encode(), stamp.encode(), body])
        wanted = base64.b64encode(hmac.digest(self.key, content, "sha256")).decode()
        with self._lock:
            if not hmac.compare_digest(signature, f"v1,{wanted}"):
                self.refused += 1
                return False
            if name not in self._known:
                self._known[name] = None
                self.received += len(json.loads(body)["records"])
                for old in list(itertools.islice(self._known, max(0, len(self._known) - KEPT))):
                    del self._known[old]
            return True


def arrivals(file: Path) -> Iterator[bytes]:
    """Yield the messages of patients that the model has never seen, over and over, a few of them broken."""
    rows = [json.loads(line)["input"] for line in file.read_text().splitlines()]
    odd = itertools.cycle([_text_for_a_number, _impossible, _half])
    for number, row in enumerate(itertools.cycle(rows), start=1):
        yield (next(odd)(row) if number % BROKEN_EVERY == 0 else json.dumps(row)).encode()


def _text_for_a_number(record: dict[str, float]) -> str:
    return json.dumps({**record, "mean_radius": "wide"})


def _impossible(record: dict[str, float]) -> str:
    return json.dumps({**record, "mean_area": -4})


def _half(record: dict[str, float]) -> str:
    return json.dumps(record)[:40]


def feed(home: Path) -> None:
    """Put patients into the stream: some at once, then one a second."""
    file = home / "sample" / "screening-1" / "validation.jsonl"
    while not (file.parent / "thresholds.json").exists():
        time.sleep(0.2)
    client = redis.Redis(unix_socket_path=str((home / "servers" / "valkey").resolve()), db=ARRIVALS)
    for number, message in enumerate(arrivals(file)):
        client.xadd(PATIENTS, {"record": message}, maxlen=KEPT)
        if number >= AT_ONCE:
            time.sleep(EVERY_S)


def serve(alerts: Alerts, port: int) -> None:
    """Receive alerts, and tell how many came."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length) if length <= LARGEST else b""
            name, stamp, signature = (
                self.headers.get(f"webhook-{one}", "") for one in ("id", "timestamp", "signature")
            )
            self._answer(204 if alerts.take(name, stamp, signature, body) else 401)

        def do_GET(self) -> None:
            self._answer(200, json.dumps({"received": alerts.received, "refused": alerts.refused}).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def main() -> None:
    """Feed and receive until ended."""
    parser = argparse.ArgumentParser(description="The clinic's systems around the sample models.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    key = options.home / KEY_FILE
    while not key.exists():
        time.sleep(0.2)
    threading.Thread(target=serve, args=(Alerts(key.read_bytes()), options.port), daemon=True).start()
    feed(options.home)


if __name__ == "__main__":
    main()
