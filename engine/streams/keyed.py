"""A source whose keys say of which run they are: what one run delivered is never taken for what another one did."""

from __future__ import annotations

from dataclasses import replace

from engine.streams.transports import Batch, Source


class KeyedSource:
    """Gives what another source gives, with a word before each key."""

    def __init__(self, source: Source, word: str) -> None:
        """Take an open source, and the word."""
        self.endless = source.endless
        self._source, self._word = source, word

    def read(self) -> Batch | None:
        """Return the next batch under its new keys, or None at the end. Raises StreamError."""
        batch = self._source.read()
        if batch is None:
            return None
        keys = [f"{self._word}/{key}" for key in batch.keys]
        rejects = [replace(one, key=f"{self._word}/{one.key}") for one in batch.rejects]
        return replace(batch, keys=keys, rejects=rejects)

    def acknowledge(self, batch: Batch) -> None:
        """Tell the source that a batch is done for good."""
        self._source.acknowledge(batch)

    def close(self) -> None:
        """Close the source."""
        self._source.close()
