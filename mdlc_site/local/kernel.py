"""What a child asks of the kernel between fork and exec: to end with its parent, and to be nobody special."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
NOBODY = 65534
libc = ctypes.CDLL(None, use_errno=True)
prctl = getattr(libc, "prctl", None)  # Linux alone has it


def ends_with_parent(number: int = signal.SIGTERM) -> Callable[[], None]:
    """Return what a child does so that the kernel ends it with the thread that started it, however that one ends."""
    parent = os.getpid()

    def ask() -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, int(number))
            if os.getppid() != parent:  # it ended before the kernel was asked
                os._exit(1)

    return ask


def in_user_namespace(then: Callable[[], None]) -> Callable[[], None]:
    """Return what a child of root does to look like an ordinary user to itself, while its files stay root's."""

    def enter() -> None:
        enter_user_namespace()
        then()

    return enter


def as_nobody(then: Callable[[], None]) -> Callable[[], None]:
    """Return what a child of root does to become the user with the fewest rights."""

    def become() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        then()  # afterwards, for the kernel forgets the wish when the user changes

    return become


def enter_user_namespace() -> None:
    """Map root to an ordinary user inside a new user namespace. Raises OSError where namespaces are refused."""
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")):
        Path(f"/proc/self/{name}").write_text(text)


def allows_user_namespaces() -> bool:
    """Tell, by trying, whether this machine lets root enter a user namespace."""
    try:
        return subprocess.run(["true"], preexec_fn=enter_user_namespace, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
