"""Orders to replay: an engine compares two sources with its own secrets, in a process that it ends in time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import StreamError
from engine.manifests import Manifest
from engine.streams.addresses import Reach

SECONDS = 240
LARGEST_REPORT = 16 << 20
MOST_KEYS = 50


@dataclass(frozen=True, slots=True)
class ReplayOrder:
    """Two sources as descriptors, the fields that tell records apart, and tolerances by field of inputs and outputs.

    A tolerance is a pair: absolute, relative.
    """

    creation: Mapping[str, Any]
    production: Mapping[str, Any]
    keys: tuple[str, ...]
    inputs: Mapping[str, tuple[float, float]]
    outputs: Mapping[str, tuple[float, float]]
    reach: Reach

    @classmethod
    def of(cls, parameters: Mapping[str, Any], limits: Reach) -> ReplayOrder:
        """Return the order in a request's parameters; it reaches no further than `limits`.

        Raises StreamError `order_malformed` with the parameter. Descriptors are judged when it is carried out.
        """
        sources = {name: parameters.get(name) for name in ("creation", "production")}
        for name, one in sources.items():
            if not isinstance(one, Mapping):
                raise _malformed(name, "is a stream's descriptor")
        keys = parameters.get("keys", [])
        if not isinstance(keys, list) or len(keys) > MOST_KEYS or not all(isinstance(one, str) for one in keys):
            raise _malformed("keys", f"lists at most {MOST_KEYS} names of fields")
        inputs, outputs = (_tolerances(name, parameters.get(name, {})) for name in ("tolerances", "output_tolerances"))
        private = parameters.get("private", False) is True and limits.private
        reach = Reach(private, limits.folders)
        return cls(sources["creation"] or {}, sources["production"] or {}, tuple(keys), inputs, outputs, reach)

    def carry_out(self, manifest: Manifest, blobs: Path) -> dict[str, Any]:
        """Compare both sources by a version whose elements lie under their hashes in `blobs`.

        Returns the report, or `error` with code and message where nothing could be compared.
        """
        shas = {one.name: one.sha256 for one in manifest.elements}
        with tempfile.TemporaryDirectory(prefix="mdlc-replay-") as name:
            folder = Path(name)
            command = [sys.executable, "-m", "engine.streams.replay", "--json", *self._arguments(folder)]
            for option, element in (("schema", "input_schema"), ("model", "model"), ("outputs", "output_schema")):
                command += [f"--{option}", str(blobs / shas[element])]
            return _told(command, folder)

    def _arguments(self, folder: Path) -> list[str]:
        found = ["--private"] if self.reach.private else []
        for name, one in (("creation", self.creation), ("production", self.production)):
            (folder / f"{name}.json").write_text(json.dumps(one))
            found += [f"--{name}", str(folder / f"{name}.json")]
        found += [f"--key={one}" for one in self.keys]
        for option, tolerances in (("tolerance", self.inputs), ("output-tolerance", self.outputs)):
            found += [f"--{option}={name}={pair[0]!r},{pair[1]!r}" for name, pair in tolerances.items()]
        return [*found, *(f"--folder={one}" for one in self.reach.folders)]


def _told(command: list[str], folder: Path) -> dict[str, Any]:
    """Run the command of a replay, and return what it told."""
    out, err = folder / "out", folder / "err"
    with out.open("wb") as output, err.open("wb") as errors:
        try:
            code = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, timeout=SECONDS, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return _error("replay_too_long", f"The replay took longer than {SECONDS} seconds; compare fewer records.")
    if code in (0, 1) and out.stat().st_size > LARGEST_REPORT:
        return _error("replay_too_large", "The report is too large to be sent.")
    if code in (0, 1):
        return {"report": json.loads(out.read_bytes())}
    words = err.read_text(errors="replace").strip()[-1000:].rpartition("\n")[2]
    named, colon, message = words.partition(": ")
    if code == 2 and colon and named.isidentifier():
        return _error(named, message)
    return _error("replay_failed", f"The replay ended with {code}: {words[:300]}")


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _tolerances(place: str, raw: Any) -> dict[str, tuple[float, float]]:
    words = "has, by field, a list of two numbers from 0: absolute and relative"
    if not isinstance(raw, Mapping):
        raise _malformed(place, words)
    found = {}
    for name, pair in raw.items():
        fits = isinstance(pair, list) and len(pair) == 2 and all(type(one) in (int, float) for one in pair)
        if not isinstance(name, str) or not fits or not all(0 <= one < float("inf") for one in pair):
            raise _malformed(f"{place}.{str(name)[:64]}", words)
        found[name] = (float(pair[0]), float(pair[1]))
    return found


def _malformed(name: str, words: str) -> StreamError:
    return StreamError("order_malformed", f"The parameter {name} {words}.", field=name)
