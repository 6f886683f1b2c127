"""Start a process of ours at a level of the ladder."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.limits import Limits
from engine.sandbox import bubblewrap
from engine.sandbox.levels import ENCLOSED

ROOT = Path(__file__).resolve().parent.parent.parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
BEGINS_S = 10.0
# Where libraries lie that Python, NumPy and onnxruntime load, and what they ask about the machine.
LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
MACHINE = ("/sys/devices/system/cpu", "/usr/share/zoneinfo", "/etc/localtime")
OWN = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo")  # what proc(5) tells of the process itself and the machine


def start(
    module: str, limits: Limits, reads: Sequence[Path] = (), *, root: Path = ROOT
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a module of ours with an empty environment and three pipes, in a session of its own.

    Returns the process that was started, and the number of the one that runs the module: at L2 another one.
    """
    told, tells = os.pipe()
    try:
        process = subprocess.Popen(
            command(module, limits, reads, root=root, tells=tells),
            cwd=root,
            env=ONE_THREAD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
            pass_fds=(tells,) if limits.level == ENCLOSED else (),
        )
        os.close(tells)
        tells = -1
        return process, _enclosed(told) or process.pid
    finally:
        os.close(told)
        if tells >= 0:
            os.close(tells)


def _enclosed(told: int) -> int:
    """Return the number of the enclosed process that bubblewrap tells of; nothing where none began, or is enclosed."""
    words = b""
    while select.select([told], [], [], BEGINS_S)[0] and (more := os.read(told, 4096)):
        words += more
    try:
        return int(json.loads(words)["child-pid"])
    except (ValueError, KeyError):
        return 0


def strays(session: int) -> list[int]:
    """Return the processes of a session that left its first group and have not ended (proc(5))."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group, of = place.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue  # it has just ended
        if int(of) == session != int(group) and state != "Z":
            found.append(int(place.parent.name))
    return found


def command(
    module: str, limits: Limits, reads: Sequence[Path] = (), *, root: Path = ROOT, tells: int = -1
) -> list[str]:
    """Return what runs a module of ours as a process that confines itself to `limits` and to reading `reads`.

    At L2 bubblewrap writes the number of the process to the descriptor `tells`.
    """
    code = (sys.prefix, sys.base_prefix, sys.base_exec_prefix, str(root / "engine"))
    readable = list(dict.fromkeys([*LIBRARIES, *MACHINE, *code, *map(str, reads)]))
    enclosed = limits.level == ENCLOSED
    order = {
        "memory_mb": limits.memory_mb,
        "seconds": limits.seconds,
        "parent": 0 if enclosed else os.getpid(),
        "level": limits.level,
        "readable": [*readable, *OWN],
    }
    run = [sys.executable, "-s", "-E", "-B", "-W", "ignore", "-m", module, json.dumps(order)]
    return bubblewrap.around(run, readable=readable, folder=str(root), tells=tells) if enclosed else run
