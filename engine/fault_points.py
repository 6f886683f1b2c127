"""Named points at which a test lets a process fail; off unless MDLC_FAULTS names a file when the process starts.

The file holds one line, a point and what happens there, such as `deploy.staged kill`. Who comes to that point first
takes the file away, notes beside it that the point fired, and fails. No request can write the file or name another.
"""

from __future__ import annotations

import errno
import os
import pkgutil
import signal
import time
from pathlib import Path

VARIABLE = "MDLC_FAULTS"
_plan = Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def fault_point(name: str) -> None:
    """Fail here, if a test wants it."""
    if _plan is not None:
        _reached(_plan, name)


def armed() -> bool:
    """Tell whether points may fire in this process."""
    return _plan is not None


def fired(plan: Path) -> Path:
    """Return the file in which is noted what fired: a line for each, the point, the action and the process."""
    return plan.with_name(f"{plan.name}.fired")


def _reached(plan: Path, name: str) -> None:
    try:
        point, _, action = plan.read_text().strip().partition(" ")
        if point != name:
            return
        plan.unlink()  # who takes it away is the one who fails
    except FileNotFoundError:
        return
    with fired(plan).open("a") as notes:
        notes.write(f"{name} {action} {os.getpid()}\n")
    _fail(action)


def _fail(action: str) -> None:
    """Carry out an action. `note` does nothing more; what is not known is an error, so that no test passes idly."""
    verb, _, what = action.partition("=")
    match verb:
        case "note":
            return
        case "kill":
            os.killpg(os.getpgrp(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "sleep":
            time.sleep(float(what))
        case "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        case "raise":
            raise pkgutil.resolve_name(what)("a test wants it")
        case _:
            raise ValueError(f"A fault point knows no action {action!r}.")
