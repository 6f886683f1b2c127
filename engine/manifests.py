"""Manifests: everything a version is made of, in one canonical form whose SHA-256 is the version's digest."""

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import rfc8785

from engine import strict_json
from engine.errors import ManifestError

SHA256 = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[a-z][a-z_]{0,31}")
MODEL = re.compile(r"[A-Za-z0-9_-]{1,100}")
FILENAME = re.compile(r"[^/\\\x00-\x1f\x7f\ud800-\udfff]{1,255}")
LARGEST = 2**53 - 1  # whole numbers that RFC 8785 can write
MOST_ELEMENTS = 100
KEYS = {"manifest", "model", "version", "format", "elements"}


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its name, the SHA-256 of its bytes (64 hex digits), its size in bytes, and its file's name."""

    name: str
    sha256: str
    size: int
    filename: str


@dataclass(frozen=True)
class Manifest:
    """What a version is made of. Elements are sorted by name."""

    model: str
    version: int
    format: str
    elements: tuple[Element, ...]

    def canonical(self) -> bytes:
        """Return the canonical bytes: JSON by RFC 8785 (JCS)."""
        elements = [
            {"name": e.name, "sha256": e.sha256, "size": e.size, "filename": e.filename}
            for e in sorted(self.elements, key=lambda e: e.name)
        ]
        return rfc8785.dumps(
            {
                "manifest": 1,
                "model": self.model,
                "version": self.version,
                "format": self.format,
                "elements": elements,  # type: ignore[dict-item]  # lists are JSON too
            }
        )

    @cached_property
    def digest(self) -> str:
        """Return the version's digest: the SHA-256 of the canonical bytes, 64 hex digits."""
        return sha256(self.canonical()).hexdigest()

    def element(self, name: str) -> Element:
        """Return an element by name. Raises ManifestError `element_missing`."""
        for element in self.elements:
            if element.name == name:
                return element
        raise ManifestError("element_missing", f"The manifest lists no element {name!r}.", field=name)

    @classmethod
    def parse(cls, text: bytes | str) -> "Manifest":
        """Return the manifest in canonical bytes.

        Raises ManifestError `manifest_malformed` for anything unknown, twice or odd, and `manifest_not_canonical` when
        the bytes are not exactly those that `canonical` gives.
        """
        try:
            raw = text.encode() if isinstance(text, str) else text
            content = strict_json.loads(raw)
        except ValueError as error:
            raise ManifestError("manifest_malformed", f"The manifest is not JSON: {error}.") from error
        manifest = cls._read(content)
        if manifest.canonical() != raw:
            raise ManifestError("manifest_not_canonical", "The manifest is not in its canonical form (RFC 8785).")
        return manifest

    @classmethod
    def _read(cls, content: Any) -> "Manifest":
        if not isinstance(content, dict) or content.keys() != KEYS or content["manifest"] != 1:
            raise ManifestError(
                "manifest_malformed",
                "A manifest has exactly the keys " + ", ".join(sorted(KEYS)) + ", and is of kind 1.",
            )
        rows = content["elements"]
        if not isinstance(rows, list) or not 0 < len(rows) <= MOST_ELEMENTS:
            raise ManifestError(
                "manifest_malformed", f"A manifest lists 1 to {MOST_ELEMENTS} elements.", field="elements"
            )
        elements = tuple(_element(row) for row in rows)
        if len({e.name for e in elements}) != len(elements):
            raise ManifestError("manifest_malformed", "An element stands twice.", field="elements")
        model, version, format_ = content["model"], content["version"], content["format"]
        if not (isinstance(model, str) and MODEL.fullmatch(model)):
            raise ManifestError(
                "manifest_malformed", "The model is not a name of letters, digits, _ and -.", field="model"
            )
        if type(version) is not int or not 0 < version <= LARGEST:
            raise ManifestError("manifest_malformed", "The version is not a whole number above 0.", field="version")
        if not (isinstance(format_, str) and NAME.fullmatch(format_)):
            raise ManifestError("manifest_malformed", "The format is not a name.", field="format")
        return cls(model, version, format_, elements)


def _element(row: Any) -> Element:
    if not isinstance(row, dict) or row.keys() != {"name", "sha256", "size", "filename"}:
        raise ManifestError("manifest_malformed", "An element has name, sha256, size and filename.", field="elements")
    name, digest, size, filename = row["name"], row["sha256"], row["size"], row["filename"]
    if not (isinstance(name, str) and NAME.fullmatch(name) and isinstance(digest, str) and SHA256.fullmatch(digest)):
        raise ManifestError("manifest_malformed", "An element's name or SHA-256 is odd.", field="elements")
    named = isinstance(filename, str) and FILENAME.fullmatch(filename) and filename not in (".", "..")
    if type(size) is not int or not 0 <= size <= LARGEST or not named:
        raise ManifestError("manifest_malformed", f"The size or file name of {name!r} is odd.", field="elements")
    return Element(name, digest, size, filename)
