"""What can go wrong on somebody's machine, each in one plain sentence."""

import errno
import shutil
import socket
from pathlib import Path

ROOM = 200 * 2**20  # bytes below which a start would only get half-way


class Trouble(Exception):
    """Stop with a sentence that a person can act on."""


def check_port(port: int, purpose: str, variable: str) -> None:
    """Raise Trouble if a port is taken, or not ours to take."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = (
                "is used by another program" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            )
            raise Trouble(
                f"Port {port}, which the {purpose} needs, {why}; stop that program, or choose another port: "
                f"make demo {variable}={port + 10}"
            ) from error


def check_room(folder: Path) -> None:
    """Raise Trouble if the disk under a folder is full, or nearly."""
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise Trouble(
            f"The disk is full: {folder} has room for {free >> 20} MB and {ROOM >> 20} MB are needed; "
            "make room, then start again."
        )


def in_words(error: OSError) -> str:
    """Return a sentence for an error of the operating system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full; make room, then start again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename or 'A folder'} cannot be written; start from a folder that is yours."
    return f"{error.filename or 'The machine'} refuses: {error.strerror or error}."
