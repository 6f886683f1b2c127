"""What a process that touches a model may use, and how it confines itself before it does."""

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass

OPEN_FILES = 256
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38  # prctl(2)
CLONE_NEWNET, CLONE_NEWUSER, CLONE_NEWIPC = 0x40000000, 0x10000000, 0x08000000  # unshare(2)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model's process may use: seconds in all, and megabytes (10^6 bytes) of address space."""

    seconds: int = 60
    memory_mb: int = 2048


def confine(memory_mb: int, seconds: int, parent: int) -> tuple[str, ...]:
    """Limit memory (10^6 bytes), processor time (seconds), files and core dumps for this process and its children.

    The process also ends with `parent`, can gain no rights, and loses the network where the kernel allows that. Returns
    the names of the layers that are in force. Call it before any thread is started.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 1_000_000,) * 2)
    if sys.platform != "linux":
        return ("rlimits",)
    libc = ctypes.CDLL(None)
    layers = ["rlimits"]
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        layers.append("no new privileges")
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) == 0:
        layers.append("no network")
    # Last, because a change of rights resets it.
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
        layers.append("ends with its parent")
    if os.getppid() != parent:
        os._exit(1)  # it died before we asked
    return tuple(layers)
