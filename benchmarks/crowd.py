"""People and automation at work, as a process of its own: `python benchmarks/crowd.py PLAN ANSWERS`.

PLAN is JSON: where the site listens, for how many seconds, how long a person thinks, and who they are: people with the
cookie of a session, automation with a token. Each is one connection that it keeps. A person reads, searches, answers,
registers and signs, and thinks in between; automation lists, reads, polls and creates under a key. Whoever is turned
away comes again when the answer says so; automation then sends the same key. ANSWERS gets each request (kind, second,
milliseconds, status; 0 for none) and each act with what became of it. Imports only the standard library, so that it
takes little of the processors it shares with the site. It asks 127.0.0.1 and nobody else.
"""

import asyncio
import json
import random
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

PATIENCE = 60
TRIES = 5
SEEN = re.compile(rb'name="seen" value="([0-9a-f]{64})"')
PASSWORD = "correct horse battery staple"
# What each kind of person does, by weight.
DAYS = {
    "validator": {"inbox": 25, "handoff": 25, "sheet": 10, "sign": 12, "handoffs": 10, "search": 8, "findings": 10},
    "builder": {
        "inbox": 20, "handoff": 20, "models": 15, "model": 10, "search": 10, "answer": 15, "register": 5,
        "lead times": 5,
    },
    "operator": {"inbox": 30, "handoff": 30, "sheet": 10, "handoffs": 15, "deployments": 10, "lead times": 5},
    "auditor": {"inbox": 20, "audit": 30, "audit of a model": 20, "handoffs": 15, "findings": 15},
    "automation": {
        "api models": 20, "api model": 20, "api handoffs": 15, "api handoff": 20, "api search": 5, "api inbox": 5,
        "api create": 15,
    },
}  # fmt: skip
READ = {
    "inbox": "/",
    "handoff": "/handoffs/{handoff}/",
    "sheet": "/handoffs/{handoff}/sign/{requirement}/",
    "handoffs": "/handoffs/?view=list&open=1",
    "search": "/models/?text={number}",
    "models": "/models/",
    "model": "/models/{model}/",
    "findings": "/findings/",
    "deployments": "/deployments/",
    "lead times": "/lead-times/",
    "audit": "/audit/",
    "audit of a model": "/audit/?action=model.registered",
    "api models": "/api/v1/models/",
    "api model": "/api/v1/models/{model}/",
    "api handoffs": "/api/v1/handoffs/",
    "api handoff": "/api/v1/handoffs/{handoff}/",
    "api search": "/api/v1/models/?text={number}",
    "api inbox": "/api/v1/inbox/",
}


@dataclass
class Told:
    """What was answered: each request, and each act."""

    requests: list[tuple[str, float, float, int]] = field(default_factory=list)
    acts: list[dict[str, Any]] = field(default_factory=list)


class Line:
    """One connection that is kept, and opened anew when it broke."""

    def __init__(self, port: int, told: Told, began: float) -> None:
        """Say where the site listens, and who writes down what it answers."""
        self.port, self.told, self.began = port, told, began
        self.ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, kind: str, request: bytes) -> tuple[int, bytes, bytes]:
        """Send a request; return status, head and body, and write down how long it took. Status 0: no answer came."""
        at = time.monotonic()
        try:
            status, head, body = await asyncio.wait_for(self._exchange(request), PATIENCE)
        except (OSError, EOFError, ValueError, TimeoutError):
            self.close()
            status, head, body = 0, b"", b""
        self.told.requests.append((kind, at - self.began, (time.monotonic() - at) * 1000, status))
        return status, head, body

    async def _exchange(self, request: bytes) -> tuple[int, bytes, bytes]:
        if self.ends is not None and self.ends[0].at_eof():
            self.close()  # the site ends what was idle for thirty seconds, as a browser notices before it asks again
        if self.ends is None:
            self.ends = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        reader, writer = self.ends
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        body = await reader.readexactly(int(length.group(1))) if length else await self._chunks(reader)
        if b"\r\nconnection: close" in head:
            self.close()
        return int(head[9:12]), head, body

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        found = b""
        while size := int(await reader.readline(), 16):
            found += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return found

    def close(self) -> None:
        """Hang up."""
        if self.ends is not None:
            self.ends[1].close()
            self.ends = None


class One:
    """Somebody at work: a person with a session, or automation with a token."""

    def __init__(self, who: dict[str, Any], line: Line, draw: random.Random, run: str) -> None:
        """Say who it is, over which line they ask, and by which chance they choose."""
        self.who, self.line, self.draw, self.run = who, line, draw, run
        self.day = DAYS[who["kind"]]
        self.said = f"Cookie: {who['cookie']}\r\n" if who["cookie"] else f"Authorization: Bearer {who['token']}\r\n"
        self.acts: dict[str, Callable[[], Any]] = {
            "sign": self.sign, "answer": self.answer, "register": self.register, "api create": self.create,
        }  # fmt: skip

    async def work(self, until: float, think: float) -> None:
        """Do one thing after the other, and think in between, half to one and a half times as long as said."""
        await asyncio.sleep(self.draw.random() * think)
        while time.monotonic() < until:
            (kind,) = self.draw.choices(list(self.day), list(self.day.values()))
            wait = await (self.acts[kind]() if kind in self.acts else self.read(kind))
            await asyncio.sleep(max(wait, think * (0.5 + self.draw.random())))

    async def read(self, kind: str) -> float:
        """Read a page or a list; return how long the site asks to wait."""
        return _wait(*(await self.get(kind, READ[kind]))[:2])

    async def get(self, kind: str, path: str) -> tuple[int, bytes, bytes]:
        """Ask for an address with somebody's own things in it."""
        things = {name: self.draw.choice(self.who[f"{name}s"]) for name in ("handoff", "model")}
        things["requirement"] = "acceptance" if self.who["kind"] == "operator" else "validation"
        path = path.format(number=self.draw.randrange(10, 999), **things)
        return await self.line.ask(kind, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{self.said}\r\n".encode())

    async def form(self, kind: str, path: str, act: str, key: str, **typed: str) -> float:
        """Send a form, and write down what became of it."""
        body = urlencode({"csrfmiddlewaretoken": self.who["csrf"], **typed})
        status, head, _ = await self.line.ask(kind, self.post(path, body, "application/x-www-form-urlencoded"))
        self.line.told.acts.append(
            {"act": act, "key": key, "who": self.who["name"], "status": status, "doubtful": not status}
        )
        if leads := re.search(rb"\r\nlocation: ([^\r#]+)", head):
            status, head, _ = await self.get("after an act", leads.group(1).decode())
        return _wait(status, head)

    def post(self, path: str, body: str, media: str, more: str = "") -> bytes:
        """Return a request that sends something."""
        return (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{self.said}{more}Content-Type: {media}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    async def sign(self) -> float:
        """Read a sheet that waits for one's signature, think, and sign it with the password; or read the inbox."""
        if not self.who["sign"]:
            return await self.read("inbox")
        handoff = self.who["sign"].pop()
        path = f"/handoffs/{handoff}/sign/validation/"
        status, head, page = await self.get("sheet", path)
        if not (found := SEEN.search(page)):
            self.who["sign"].insert(0, handoff)
            return _wait(status, head)
        await asyncio.sleep(self.draw.uniform(0.2, 0.5))
        typed = {"seen": found.group(1).decode(), "decision": "approve", "meaning": "review", "password": PASSWORD}
        return await self.form("sign", path, "sign", handoff, comment="I have read it.", **typed)

    async def answer(self) -> float:
        """Answer an item of a checklist, with a link of one's own."""
        handoff, key = self.draw.choice(self.who["answer"]), uuid.uuid4().hex
        typed = {"choice": "yes", "label": "Model card", "link": f"https://wiki.example.org/{key}"}
        return await self.form("answer", f"/handoffs/{handoff}/answers/purpose/", "answer", key, **typed)

    async def register(self) -> float:
        """Register a model in the browser."""
        slug = f"drawn-{uuid.uuid4().hex[:20]}"
        return await self.form("register", "/models/new/", "model", slug, slug=slug, **_model(self.run))

    async def create(self) -> float:
        """Register a model over the API, under a key that is sent until an answer comes, and now and then once more."""
        slug, key = f"made-{uuid.uuid4().hex[:20]}", str(uuid.uuid4())
        body = json.dumps({"slug": slug, **_model(self.run)})
        request = self.post("/api/v1/models/", body, "application/json", f"Idempotency-Key: {key}\r\n")
        status, head, sent, doubtful = 0, b"", 0, False
        while sent < TRIES and status in (0, 503):
            if sent:
                await asyncio.sleep(max(_wait(status, head), 1))
            status, head, _ = await self.line.ask("api create", request)
            sent, doubtful = sent + 1, doubtful or not status
        wait = _wait(status, head)
        if status == 201 and self.draw.random() < 0.1:
            again, head, _ = await self.line.ask("api create", request)
            wait, status = _wait(again, head), status if again in (0, 503) else again
        told = {"act": "model", "key": slug, "who": self.who["name"], "status": status, "doubtful": doubtful}
        self.line.told.acts.append(told)
        return wait


def _model(run: str) -> dict[str, str]:
    return {"name": f"Made in {run}", "purpose": "A load", "owner_team": "Lab", "risk_tier": "low"}


def _wait(status: int, head: bytes) -> float:
    """Return for how many seconds an answer asks to stay away."""
    found = re.search(rb"\r\nretry-after: (\d+)", head)
    return float(found.group(1)) if found and status in (429, 503) else 0.0


def everybody(plan: dict[str, Any], told: Told, began: float) -> Iterator[One]:
    """Give all who work, several times over where the plan says so."""
    draw = random.Random(plan["seed"])
    for _ in range(plan["times"]):
        for who in plan["who"]:
            line = Line(plan["port"], told, began)
            yield One(who, line, random.Random(draw.random()), plan["run"])


async def load(plan: dict[str, Any]) -> Told:
    """Let everybody work for the plan's time."""
    told, began = Told(), time.monotonic()
    crowd = list(everybody(plan, told, began))
    pace = {"automation": plan["poll"]}
    until = began + plan["seconds"]
    await asyncio.gather(*(one.work(until, pace.get(one.who["kind"], plan["think"])) for one in crowd))
    for one in crowd:
        one.line.close()
    return told


def main() -> None:
    """Run one plan, and write down what was answered."""
    plan, answers = map(Path, sys.argv[1:])
    told = asyncio.run(load(json.loads(plan.read_text())))
    answers.write_text(json.dumps({"requests": told.requests, "acts": told.acts}))


if __name__ == "__main__":
    main()
