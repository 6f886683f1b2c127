"""Landlock: take the files, TCP, signals and abstract sockets of everybody else from this process (landlock(7))."""

import ctypes
import os
import stat
from collections.abc import Iterable

LEAST_ABI = 4  # Linux 6.7: truncation and TCP
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same number on every architecture
VERSION, PATH_BENEATH = 1, 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
FILES_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
TCP = 0b11  # bind, connect; since 4
SCOPES = 0b11  # abstract Unix sockets, signals; since 6


class Ruleset(ctypes.Structure):
    """Say what is ruled on: struct landlock_ruleset_attr."""

    _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class Beneath(ctypes.Structure):
    """Allow something beneath a path: struct landlock_path_beneath_attr."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def abi() -> int:
    """Return the version of Landlock that the kernel has; nothing or less where it has none."""
    return _call(CREATE_RULESET, None, 0, VERSION)


def restrict(readable: Iterable[str]) -> None:
    """Leave this process only the reading of some folders and files, for good. Raises OSError.

    What is handled and not allowed by a rule is refused: writing, making, removing, linking, executing, TCP.
    """
    version = abi()
    if version < LEAST_ABI:
        raise OSError(f"Landlock {LEAST_ABI} is needed (Linux 6.7), and the kernel has {max(version, 0)}")
    handled = Ruleset(FILES_OF_ABI[min(version, 5)], TCP, SCOPES if version >= 6 else 0)
    rules = _checked(_call(CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0))
    try:
        for path in readable:
            _allow_reading(rules, path)
        _checked(_call(RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)


def _allow_reading(rules: int, path: str) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # machines differ in where they keep their libraries
    try:
        folder = stat.S_ISDIR(os.fstat(place).st_mode)
        rule = Beneath(READ_FILE | (READ_DIR if folder else 0), place)
        _checked(_call(ADD_RULE, rules, PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return int(libc.syscall(ctypes.c_long(number), *given))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result
