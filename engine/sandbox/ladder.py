"""Find by trial which rungs of the ladder this machine has; nothing is assumed from what is installed."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from engine.errors import EngineError
from engine.limits import Limits
from engine.runner import Process
from engine.sandbox.acts import Stage, through
from engine.sandbox.levels import ENCLOSED, FILTERED, NONE, Level

TRIAL_S = 20
LIMIT_MB, TOO_MUCH_MB = 300, 400
WAITS = "import sys; sys.stdin.read()"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The highest level that holds here, and why those above do not, in words."""

    level: Level
    lost: Mapping[Level, str]

    def told(self) -> str:
        """Return a sentence for whoever runs the machine."""
        return "; ".join([f"sandbox {self.level}", *(f"no {level}: {why}" for level, why in self.lost.items())])


@cache
def found() -> Ladder:
    """Return what this machine can do. It is tried once in the life of a process, from the highest rung down.

    Each process that is started later proves its level again by itself, and none is started on a lower one.
    """
    lost: dict[Level, str] = {}
    try:
        with stage() as place:
            for level in (ENCLOSED, FILTERED):
                why = trial(level, place)
                if not why:
                    return Ladder(level, lost)
                lost[level] = why
    except OSError as error:  # no room for files, or a system without such sockets
        lost = dict.fromkeys((ENCLOSED, FILTERED), f"it cannot be tried: {error}")
    return Ladder(NONE, lost)


def trial(level: Level, place: Stage) -> str:
    """Start a process at a level, and let it try every hostile act at `place`; return why the level does not hold."""
    try:
        process = Process(Limits(TRIAL_S, LIMIT_MB, level))
    except (EngineError, OSError) as error:
        return str(getattr(error, "message", error))
    try:
        let_through = through(process.ask("confined", **asdict(place)).get("refused"))
    except EngineError as error:
        return error.message
    finally:
        process.close()
    return f"it lets through: {', '.join(let_through)}" if let_through else ""


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Set up what hostile acts are aimed at: files, listeners, and another process with a secret in its environment."""
    secret = f"secret-{os.getpid()}-{os.urandom(8).hex()}"
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sandbox-"))
        readable = Path(folder) / "readable"
        readable.write_text(secret)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        for address in (f"\0{secret}", f"{folder}/unix"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        other = stack.enter_context(
            subprocess.Popen([sys.executable, "-S", "-c", WAITS], stdin=subprocess.PIPE, env={"SECRET": secret})
        )
        stack.callback(other.kill)
        yield Stage(
            readable=str(readable),
            folder=folder,
            tcp=tcp.getsockname()[1],
            udp=udp.getsockname()[1],
            abstract=secret,
            unix=f"{folder}/unix",
            other=other.pid,
            secret=secret,
            memory_mb=TOO_MUCH_MB,
        )
