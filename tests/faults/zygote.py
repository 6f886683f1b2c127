"""A process in which Django is ready, that forks one child for each act: a web process, a worker, a relay, in 20 ms.

It reads one JSON line an act and answers with the child's id. The child leads a session of its own, as a process of an
installation does, so that it can be killed with all it started; what the act returns goes into a file.
"""

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

LEASE = 2
ENGINE_SECONDS = 3.0
RING_AGAIN = 1.0
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork until the input ends."""
    django.setup()
    from tests.faults import acts, sabotages  # the tables are known now

    acts.hasten(LEASE, ENGINE_SECONDS, RING_AGAIN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a child; none is left as a zombie
    for line in sys.stdin:
        told = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(told, acts.ACTS, sabotages.IN_CHILD)
        print(pid, flush=True)


def _child(told: dict[str, Any], acts: dict[str, Callable[..., Any]], broken: dict[str, Callable[[], None]]) -> None:
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(2, 1)  # the pipe to the harness is the parent's alone
    os.environ["PGAPPNAME"] = told["name"]  # by which the database's connections of this child are found
    try:
        for name in told["sabotages"]:
            if name in broken:
                broken[name]()
        _set_clock(told["clock"])
        outcome = acts[told["act"]](*told["args"])
        half = Path(f"{told['result']}.new")
        half.write_text(json.dumps(outcome))
        half.rename(told["result"])
    except Exception as error:
        print(f"{told['act']} {told['args']}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def _set_clock(seconds: int) -> None:
    """Let this process believe in another hour; the database's clock stays."""
    if not seconds:
        return
    from django.utils import timezone

    now, epoch = timezone.now, time.time
    timezone.now = lambda: now() + timedelta(seconds=seconds)
    time.time = lambda: epoch() + seconds


if __name__ == "__main__":
    main()
