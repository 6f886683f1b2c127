"""What an order to the engine brings along, checked piece by piece."""

from __future__ import annotations

from typing import Any

from engine.errors import RecordError
from engine.versions import LoadOrder


class Fields:
    """The parameters of an order, each fetched with its type checked. Raises RecordError `bad_request`."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        """Take the parameters as they came."""
        self._found = parameters

    def order(self) -> int:
        """Return the order's number."""
        value = self._found.get("order")
        if type(value) is not int or not 0 < value < 1 << 62:
            raise _odd("order", "a whole number above 0")
        return value

    def count(self, name: str) -> int:
        """Return a count that may be left out."""
        value = self._found.get(name, 0)
        if type(value) is not int or not 0 <= value < 1 << 16:
            raise _odd(name, "a whole number from 0")
        return value

    def load_order(self) -> LoadOrder:
        """Return the order to load a version."""
        return LoadOrder(
            order=self.order(),
            version=self.text("version"),
            digest=self.text("digest"),
            manifest=self.text("manifest").encode(),
            blobs=self.texts("blobs"),
            suspended=self.flag("suspended"),
        )

    def flag(self, name: str) -> bool:
        """Return a flag that may be left out."""
        value = self._found.get(name, False)
        if type(value) is not bool:
            raise _odd(name, "true or false")
        return value

    def text(self, name: str) -> str:
        """Return a text."""
        value = self._found.get(name)
        if type(value) is not str or not value:
            raise _odd(name, "a text")
        return value

    def all(self) -> dict[str, Any]:
        """Return all of them, unchecked."""
        return self._found

    def texts(self, name: str) -> dict[str, str]:
        """Return an object of texts."""
        value = self._found.get(name)
        if type(value) is not dict or not all(type(one) is str for one in value.values()):
            raise _odd(name, "an object of texts")
        return value


def _odd(name: str, wanted: str) -> RecordError:
    return RecordError("bad_request", f"The parameter {name!r} is not {wanted}.", field=name)
