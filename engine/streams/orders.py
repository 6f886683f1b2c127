"""Orders to run: a sealed version by its digest, over a source into sinks."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import durable
from engine.errors import StreamError
from engine.streams.addresses import Reach

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MOST_SINKS = 50


@dataclass(frozen=True, slots=True)
class RunOrder:
    """What to run: a sealed version by its digest, with streams as descriptors, and how far they may reach.

    `keys` stands before each record's key, so that outputs of several runs over one source are told apart.
    """

    run: str
    digest: str
    source: Mapping[str, Any]
    sinks: Mapping[str, Mapping[str, Any]]
    letters: Mapping[str, Any] | None = None
    reach: Reach = field(default_factory=Reach)
    keys: str = ""

    @classmethod
    def of(cls, run: str, parameters: Mapping[str, Any], limits: Reach) -> RunOrder:
        """Return the order in a request's parameters; it reaches no further than `limits`.

        Raises StreamError `run_name` or `order_malformed` with the parameter. Descriptors are judged when it starts.
        """
        if not NAME.fullmatch(run):
            raise StreamError("run_name", "A run's name has letters, digits, - and _.", field="run")
        digest, source = parameters.get("digest"), parameters.get("source")
        sinks, letters = parameters.get("sinks"), parameters.get("letters")
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise _malformed("digest", "is 64 hexadecimal digits")
        if not isinstance(source, Mapping):
            raise _malformed("source", "is a stream's descriptor")
        if not isinstance(sinks, Mapping) or not 0 < len(sinks) <= MOST_SINKS:
            raise _malformed("sinks", f"has 1 to {MOST_SINKS} descriptors by name")
        for name, sink in sinks.items():
            if not NAME.fullmatch(name) or not isinstance(sink, Mapping):
                raise _malformed(f"sinks.{name[:64]}", "is a stream's descriptor, under a name of letters and digits")
        if letters is not None and not isinstance(letters, Mapping):
            raise _malformed("letters", "is a stream's descriptor, or left out")
        keys = parameters.get("keys", "")
        if not isinstance(keys, str) or (keys and not NAME.fullmatch(keys)):
            raise _malformed("keys", "is a name of letters and digits, or left out")
        private = parameters.get("private", False) is True and limits.private
        return cls(run, digest, source, sinks, letters, Reach(private, limits.folders), keys)

    @classmethod
    def read(cls, path: Path) -> RunOrder:
        """Return the order in a file that `write` wrote."""
        content = json.loads(path.read_bytes())
        reach = content.pop("reach")
        return cls(**content, reach=Reach(reach["private"], tuple(reach["folders"])))

    def write(self, path: Path) -> None:
        """Write the order to a file."""
        durable.write(path, json.dumps(self._content()).encode())

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of all that the order says, by which two processes see that they have the same."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()

    @property
    def bound(self) -> str:
        """Return the SHA-256 of the version's digest and the descriptors, for whoever ordered it to compare."""
        streams = {"source": self.source, "sinks": self.sinks, "letters": self.letters}
        return hashlib.sha256(json.dumps({"digest": self.digest, **streams}, sort_keys=True).encode()).hexdigest()

    def _content(self) -> dict[str, Any]:
        reach = {"private": self.reach.private, "folders": list(self.reach.folders)}
        content = {"run": self.run, "digest": self.digest, "source": self.source, "sinks": self.sinks}
        keys = {"keys": self.keys} if self.keys else {}  # orders without keep the fingerprint they had
        return content | {"letters": self.letters, "reach": reach} | keys


def _malformed(name: str, words: str) -> StreamError:
    return StreamError("order_malformed", f"The parameter {name} {words}.", field=name)
