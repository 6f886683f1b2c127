"""Let in as many requests at once as a process can work at, let some wait for their turn, and turn away the rest.

Turning away comes before anything is done: no session is read, no connection is taken, nothing is written. A queue
that is bounded keeps what is served quick; one that grows makes every answer late, until people reload and it grows.
"""

import threading
from collections import deque
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from audit.errors import Unavailable
from mdlc_site.errors import plain

OPEN_PATHS = ("/healthz/", "/.well-known/")  # who watches must be answered when nobody else is


class Overloaded(Unavailable):
    """More is asked for than this process can do now."""

    code = "overloaded"


class Places:
    """Places to work at, and a queue before them. Who came first is next; nobody who comes later takes the place."""

    def __init__(self, working: int, waiting: int, seconds: float) -> None:
        """Say how many may work, how many may wait for that, and how long."""
        self._free, self._waiting, self._seconds = working, waiting, seconds
        self._queue: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    def enter(self) -> bool:
        """Take a place, after a while perhaps; False when too many wait already, or none was free in time."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            if len(self._queue) >= self._waiting:
                return False
            turn = threading.Event()
            self._queue.append(turn)
        if turn.wait(self._seconds):
            return True
        with self._lock:
            if turn.is_set():  # it was given at the last moment
                return True
            self._queue.remove(turn)
            return False

    def leave(self) -> None:
        """Give the place to who waits longest, or back."""
        with self._lock:
            if self._queue:
                self._queue.popleft().set()
            else:
                self._free += 1


class AdmissionMiddleware:
    """Let a request in when there is a place, or answer that there is none. What streams holds none while it does."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.places = Places(settings.REQUESTS_AT_ONCE, settings.REQUESTS_WAITING, settings.WAIT_SECONDS)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, or turn away before anything is done."""
        if request.path_info.startswith(OPEN_PATHS):
            return self.get_response(request)
        if not self.places.enter():
            return turned_away(request)
        try:
            return self.get_response(request)
        finally:
            self.places.leave()


def turned_away(request: HttpRequest) -> HttpResponse:
    """Answer that there is no place, and when to come again."""
    todo = "Wait a few seconds, then send it again. What carries an Idempotency-Key is never done twice."
    answer = plain(request, Overloaded("The site has more to do than it can do now; nothing was done.", todo=todo))
    answer["Cache-Control"] = "no-store"
    return answer
