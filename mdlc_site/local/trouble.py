"""What can go wrong on somebody's machine, each in one plain sentence."""

import errno
import socket


class Trouble(Exception):
    """Stop with a sentence that a person can act on."""


def check_port(port: int, purpose: str) -> None:
    """Raise Trouble if a port is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Trouble(
                f"Port {port}, which the {purpose} needs, is used by another program; stop it, or choose another "
                "with MDLC_PORT (site) or MDLC_ENGINE_PORT (engine)."
            ) from error


def in_words(error: OSError) -> str:
    """Return a sentence for an error of the operating system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full; make room, then start again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename or 'The folder'} cannot be written; start again from a folder of your own."
    return f"{error.filename or 'The machine'}: {error.strerror}."
