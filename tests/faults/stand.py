"""The installation that trials are made on: a relay, workers, a broker, an engine, and what is asked of all of them.

Celery itself is left out of this tier: the stand takes each message off the broker's list, acknowledged early as our
workers do, and a child carries the job out by the function that a worker would call.
"""

import base64
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from subprocess import Popen
from typing import Any

import redis
from django.db import DatabaseError, InterfaceError, connection

from audit.models import AuditEvent
from engine.fault_points import fired
from handoff.models import Deployment, SignOff
from handoff.queries.invariants import check
from handoff.states import DeploymentState
from tests.handoff import building
from tests.processes import Engine, Process

QUEUES = ("deployments", "tests", "stops")
PATIENCE = 90.0
NAMES = count()  # of children and models; the engine and the folder outlive a stand


@dataclass
class Child:
    """One act in a process of its own."""

    act: str
    pid: int
    result: Path

    @property
    def state(self) -> str:
        """Return the letter by which the kernel tells how the process is; nothing once it has gone."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def kill(self) -> None:
        """End it at once, with all it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        while self.state:
            time.sleep(0.005)

    @property
    def told(self) -> dict[str, str]:
        """Return what the act has answered; nothing where it did not come to that."""
        return json.loads(self.result.read_text() or "{}") or {} if self.result.exists() else {}


@dataclass
class Stand:
    """Everything that runs in a trial."""

    folder: Path
    zygote: Popen[bytes]
    broker: Process
    url: str
    engine: Engine
    plan: Path
    restart_database: Callable[[], None] | None = None
    sabotages: tuple[str, ...] = ()
    place: building.Place = field(init=False)
    promised: list[str] = field(default_factory=list)
    relay: Child | None = None
    ringing: bool = True
    clock: int = 0
    children: list[Child] = field(default_factory=list)
    _versions: Iterator[int] = field(default_factory=lambda: count(1))
    _messages: Any = None

    def renew(self) -> None:
        """Go on with another model, whose records nothing has touched."""
        self.place = building.a_place(f"faults-{next(NAMES)}")
        self._versions = count(1)

    def number(self) -> int:
        """Return the number of the next version."""
        return next(self._versions)

    # Processes

    def run(self, act: str, *args: Any, clock: int | None = None) -> Child:
        """Have something done in a process of its own."""
        name = f"fault-{next(NAMES)}"
        result = self.folder / f"{name}.json"
        told = {
            "act": act,
            "args": args,
            "name": name,
            "clock": self.clock if clock is None else clock,
            "result": str(result),
            "sabotages": self.sabotages,
        }
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.write(json.dumps(told).encode() + b"\n")
        self.zygote.stdin.flush()
        child = Child(act, int(self.zygote.stdout.readline()), result)
        self.children = [one for one in self.children if one.state] + [child]
        return child

    def child(self, pid: int) -> Child:
        """Return the child with an id, or the engine as one."""
        return next((one for one in self.children if one.pid == pid), Child("engine", pid, self.folder / "none"))

    def end(self) -> None:
        """End every child."""
        for child in self.children:
            child.kill()

    def pump(self) -> None:
        """Keep the relay and the engine up, as an installation does, and hand messages to workers."""
        if self.ringing and (self.relay is None or not self.relay.state):
            self.relay = self.run("ring")
        process = self.engine.process.popen
        if process is None or process.poll() is not None:
            self.engine.start()
        for queue, message in self._received():
            headers = message["headers"]
            args = json.loads(base64.b64decode(message["body"]))[0]
            assert queue in QUEUES
            self.run("work", headers["task"], *args)

    def _received(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._messages is None:
            self._messages = redis.Redis(unix_socket_path=self.url.removeprefix("unix://"), socket_timeout=0.2)
        try:
            for queue in QUEUES:
                while raw := self._messages.rpop(queue):
                    yield queue, json.loads(raw)
        except redis.RedisError:
            self._messages = None

    def until(self, what: str, check: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Keep the installation going until something holds. Raises Late."""
        end = time.monotonic() + seconds
        while True:
            try:
                if check():
                    return
            except (DatabaseError, InterfaceError):
                connection.close()  # it restarts just now
            if time.monotonic() > end:
                raise Late(f"not within {seconds:g} s: {what}")
            self.pump()
            time.sleep(0.02)

    # Fault points

    def arm(self, point: str, action: str) -> None:
        """Let the next process that comes to a point fail there."""
        fired(self.plan).unlink(missing_ok=True)
        half = self.plan.with_name("half")
        half.write_text(f"{point} {action}")
        half.rename(self.plan)

    def disarm(self) -> None:
        """Let nothing fail any more."""
        self.plan.unlink(missing_ok=True)

    def victim(self) -> Child | None:
        """Return who has come to the point; nobody yet."""
        path = fired(self.plan)
        lines = path.read_text().splitlines() if path.exists() else []
        return self.child(int(lines[-1].split()[-1])) if lines else None

    # What must hold

    def wrong(self) -> list[str]:
        """Return what is not as it must always be: invariants, promised signatures, and what the engine serves."""
        found = [str(one) for one in check().violations]
        kept = {str(pk) for pk in SignOff.objects.filter(pk__in=self.promised).values_list("pk", flat=True)}
        subjects = [f"signoff:{one}" for one in self.promised]
        events = AuditEvent.objects.filter(action="signoff.given", subject__in=subjects)
        traced = set(events.values_list("subject", flat=True))
        gone = [one for one in self.promised if one not in kept or f"signoff:{one}" not in traced]
        found += [f"lost: the signature {one} was confirmed to its signer, and is not on record" for one in gone]
        live = Deployment.objects.filter(model=self.place.model, state=DeploymentState.LIVE)
        digests = list(live.values_list("digest", flat=True))
        if len(digests) > 1:
            found.append(f"doubled: {len(digests)} deployments are live")
        serves = self.engine.serves(self.place.model.slug)
        if serves != (digests or [""])[0]:
            found.append(
                f"the engine serves {serves[:12] or 'nothing'}, on record is {(digests or ['nothing'])[0][:12]}"
            )
        return found


class Late(AssertionError):
    """Something did not come about in time."""


def settle(stand: Stand) -> None:
    """Wait until the children of a trial have ended; the relay goes on."""
    stand.until(
        "every child has ended",
        lambda: not any(one.state for one in stand.children if one is not stand.relay),
        30,
    )
