"""The command `mdlc`, for whoever builds models: it needs nothing but `packaging` beside Python."""

import sys
from collections.abc import Callable, Sequence

from engine import capture

COMMANDS: dict[str, Callable[..., int]] = {"capture": capture.main}


def main(given: Sequence[str] | None = None) -> int:
    """Carry out the command that is named first; return what it returns, or 2 for one that is not known."""
    name, *rest = list(sys.argv[1:] if given is None else given) or [""]
    if name not in COMMANDS:
        print(f"usage: mdlc {{{','.join(COMMANDS)}}} ...; mdlc capture --help tells more", file=sys.stderr)
        return 2
    return COMMANDS[name](rest, name=f"mdlc {name}")
