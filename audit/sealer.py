"""The loop that seals the trail once a second; the relay runs it in a thread of its own."""

import logging
import time
from threading import Event

from django.db import DatabaseError, InterfaceError, connection

from audit.errors import Refused
from audit.sealing import LATE, VERY_LATE, TreeBroken, seal

log = logging.getLogger(__name__)
EVERY = 1.0
LOOK_FURTHER_BACK = 60.0
PAUSE = 30.0


def run(stopped: Event) -> None:
    """Seal until told to stop. When it starts it looks at every event, then at the newest, once a minute further back.

    A tree that was tampered with, or a key that was retired, is logged every half a minute, and nothing is sealed.
    """
    back: int | None = None
    further = 0.0
    while not stopped.is_set():
        pause = EVERY
        try:
            while seal(back=back) and not stopped.is_set():
                pass
            back = LATE
            if time.monotonic() >= further:
                back, further = VERY_LATE, time.monotonic() + LOOK_FURTHER_BACK
        except (TreeBroken, Refused) as error:
            log.error("the trail is not sealed: %s", error)
            pause = PAUSE
        except (DatabaseError, InterfaceError) as error:
            log.warning("the trail waits to be sealed, the database does not answer: %s", error)
        finally:
            connection.close()
        stopped.wait(pause)
