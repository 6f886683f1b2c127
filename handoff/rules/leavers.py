"""When the name of somebody who has left goes by itself: so long after they left, and never without notice."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class NameRules:
    """What an installation says of names: how long after a leaving they go, and how long before that it is told."""

    after: timedelta
    notice: timedelta

    @property
    def by_themselves(self) -> bool:
        """Tell whether names go by themselves at all."""
        return self.after > timedelta()

    def told_from(self, now: datetime) -> datetime:
        """Return the instant: administrators are to be told of whoever left then or earlier."""
        return now + self.notice - self.after

    def announced(self, left_at: datetime, now: datetime) -> datetime:
        """Return when a name goes of which notice is given now: when the time is over, and after the whole notice."""
        return max(left_at + self.after, now + self.notice)

    def goes_at(self, left_at: datetime, announced: datetime | None) -> datetime | None:
        """Return when a name goes; never before the day that was announced. None: only by hand."""
        if not self.by_themselves:
            return None
        return max(left_at + self.after, announced) if announced else left_at + self.after
