"""An engine that obeys every order, however old: what happens without fencing at the target."""

import sys
from dataclasses import replace

from engine.command import main
from engine.orders import State


def under(state: State, order: int) -> State:
    """Return the state after any order."""
    return replace(state, order=order)


if __name__ == "__main__":
    State.under = under  # type: ignore[method-assign]
    sys.exit(main())
