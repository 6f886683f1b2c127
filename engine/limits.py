"""What a process that touches a model may use, and how it confines itself before it does."""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from engine.sandbox import landlock, seccomp
from engine.sandbox.levels import NONE, Level

OPEN_FILES = 256
THREADS = 256
ENCLOSING = 0  # the parent, as seen by the first process in a world of its own
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38  # prctl(2)
CLONE_NEWNET, CLONE_NEWUSER, CLONE_NEWIPC = 0x40000000, 0x10000000, 0x08000000  # unshare(2)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model's process may use: seconds in all, and megabytes (10^6 bytes) of address space.

    `level` is the rung of the ladder on which it runs; it ends before it touches the model where that does not hold.
    """

    seconds: int = 60
    memory_mb: int = 2048
    level: Level = NONE


def confine(
    memory_mb: int, seconds: int, parent: int, level: Level = NONE, readable: Iterable[str] = ()
) -> tuple[str, ...]:
    """Limit memory (10^6 bytes), processor time (seconds), files and core dumps for this process and its children.

    The process also ends with `parent`, can gain no rights, and loses the network where the kernel allows that. From L1
    on it can read nothing but what is `readable`, and loses the system calls that a model has no use for. Returns the
    names of the layers that are in force. Call it before any thread is started. Raises OSError where a layer of the
    level cannot be had.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 1_000_000,) * 2)
    if sys.platform != "linux":
        if level != NONE:
            raise OSError(f"{level} needs Linux")
        return ("rlimits",)
    libc = ctypes.CDLL(None)
    layers = ["rlimits"]
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        layers.append("no new privileges")
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) == 0:
        layers.append("no network")
    if parent == ENCLOSING or "no network" in layers:  # elsewhere the kernel would count all processes of the user
        resource.setrlimit(resource.RLIMIT_NPROC, (THREADS, THREADS))
        layers.append("few threads")
    # After that, because a change of rights resets it.
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
        layers.append("ends with its parent")
    if os.getppid() != parent:
        os._exit(1)  # it died before we asked
    return (*layers, *_filtered(level, readable))


def _filtered(level: Level, readable: Iterable[str]) -> tuple[str, ...]:
    """Put in force what L1 and above add. Raises OSError."""
    if level == NONE:
        return ()
    landlock.restrict(readable)
    seccomp.restrict()
    return ("Landlock", "seccomp")
