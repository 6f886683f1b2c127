"""The versions a scoring engine holds: staged, live and kept for going back; loaded, swapped and remembered."""

from __future__ import annotations

import fcntl
import logging
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.blobs import BlobStore, Registry
from engine.counters import VersionCounters
from engine.errors import EngineError, LoadError, RecordError
from engine.fault_points import fault_point
from engine.formats import open_model
from engine.manifests import Manifest
from engine.orders import OrderBook, Place, State
from engine.records import read_golden
from engine.schemas import Schema
from engine.scoring import Scorer

log = logging.getLogger("engine")

NEEDED = ("model", "input_schema", "output_schema")
WARM_UP_RECORDS = 20
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version in memory, able to score."""

    model: str
    place: Place
    manifest: Manifest
    scorer: Scorer
    counters: VersionCounters


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """An order to fetch and stage one version, which does not score where it is `suspended`."""

    order: int
    version: str
    digest: str
    manifest: bytes
    blobs: dict[str, str]
    suspended: bool = False


class Versions:
    """All versions of all models in one engine.

    `table` maps (model, version) and, for what is live, (model, "") to the loaded version. It is never changed, only
    replaced whole: a request that looked up one version keeps it to its end. What is suspended lies in `parked` under
    the same keys: loaded, and not to be found by anybody who wants to score.
    """

    def __init__(self, home: Path, registry: str, largest_blob: int) -> None:
        """Open the home folder; nothing is loaded before `restore`."""
        home.mkdir(parents=True, exist_ok=True)
        self._claim = _claim(home)
        self.registry = Registry(registry) if registry else None
        self.blobs = BlobStore(home / "blobs", largest_blob)
        self.book = OrderBook(home / "models")
        self.states: dict[str, State] = self.book.read_all()
        self.table: dict[tuple[str, str], Loaded] = {}
        self.parked: dict[tuple[str, str], Loaded] = {}
        self.counters: dict[tuple[str, str], VersionCounters] = {}
        self.failures: dict[tuple[str, str], str] = {}
        self.restored = False
        self._lock = threading.RLock()
        self._loads: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @property
    def ready(self) -> bool:
        """Say whether everything that should be live is live, or suspended."""
        wanted = [name for name, state in self.states.items() if state.live and not state.stopped(state.live.version)]
        return self.restored and all((name, "") in self.table for name in wanted)

    def find(self, model: str, version: str = "") -> Loaded:
        """Return a loaded version, the live one unless told otherwise.

        Raises `unknown_model`, `suspended` or `model_not_ready`.
        """
        loaded = self.table.get((model, version))
        if loaded is not None:
            return loaded
        state = self.states.get(model, State())
        meant = version or (state.live.version if state.live else "")
        if state.stopped(meant) and state.place(meant):
            raise LoadError(
                "suspended",
                f"{_title(model, meant)} is suspended, and scores nothing until that is lifted where it is governed.",
                details={"version": meant, "order": state.stops[meant].order},
            )
        if state.live if not version else state.place(version):
            why = self.failures.get((model, version), "it is still being loaded")
            raise LoadError("model_not_ready", f"{_title(model, version)} is not ready: {why}.")
        raise LoadError("unknown_model", f"{_title(model, version)} is not in this engine.")

    def restore(self) -> None:
        """Load what was live when the engine last ran, then what was staged."""
        states = list(self.states.items())
        for model, state in states:
            if state.live:
                self._restore(model, state.live, live=True)
        self.restored = True
        for model, state in states:
            for place in state.staged:
                self._restore(model, place, live=False)
        self._sweep()

    def load(self, model: str, order: LoadOrder) -> dict[str, Any]:
        """Fetch, verify and load a version, and keep it staged. A version that is there already answers at once."""
        manifest = self._manifest(model, order)
        with self._lock:
            self._see(model, order.order)
            if answer := self._present(model, order):
                return answer
        shas = [element.sha256 for element in manifest.elements] + [order.digest]
        with self._loads[model], self.blobs.pinned(shas):
            with self._lock:
                self._see(model, order.order)
                if answer := self._present(model, order):
                    return answer
            self._fetch(manifest, order)
            place = Place(order.version, order.digest, order.order)
            loaded = self._open(model, place, manifest)
            with self._lock:
                state = self.states[model].under(order.order)
                again = state.live is not None and state.live.version == order.version
                fresh = {(model, order.version): loaded} | ({(model, ""): loaded} if again else {})
                state = state.placed(order.version, order.order, order.suspended)
                self._remember(model, state if again else state.with_staged(place), fresh)
        log.info("loaded %s version %s (order %s)", model, order.version, order.order)
        return _answer(model, place, "live" if again else "staged")

    @contextmanager
    def held(self, model: str, order: LoadOrder) -> Iterator[Manifest]:
        """Have a version's elements here while the block lasts; nothing is staged, and no order number seen."""
        manifest = self._manifest(model, order)
        with self.blobs.pinned([element.sha256 for element in manifest.elements] + [order.digest]):
            with self._loads[model]:
                self._fetch(manifest, order)
            yield manifest

    def activate(self, model: str, order: int, version: str, digest: str, *, suspended: bool = False) -> dict[str, Any]:
        """Make a staged version the live one, in one step; with `suspended`, without letting it score."""
        with self._lock:
            place = self.states.get(model, State()).place(version)
            if place is None:
                raise LoadError("unknown_model", f"{_title(model, version)} is not in this engine; load it first.")
            if place.digest != digest:
                raise LoadError(
                    "digest_mismatch",
                    f"{_title(model, version)} has digest {place.digest} here, not {digest}.",
                    field="digest",
                )
            self._see(model, order)
            loaded = self.parked.get((model, version)) or self.find(model, version)
            place = Place(version, digest, order)
            after = self.states[model].with_live(place).placed(version, order, suspended)
            fresh = Loaded(model, place, loaded.manifest, loaded.scorer, loaded.counters)
            fault_point("engine.before_swap")
            self._remember(model, after, {(model, version): fresh, (model, ""): fresh})
            fault_point("engine.swapped")
        self._sweep()
        log.info("live is %s version %s (order %s)", model, version, order)
        previous = after.previous and {"version": after.previous.version, "digest": after.previous.digest}
        return {**_answer(model, place, "live"), "previous": previous}

    def unload(self, model: str, order: int, version: str) -> dict[str, Any]:
        """Take a version out of this engine, the live one too; doing it twice is no error."""
        with self._lock:
            if model not in self.states:
                raise LoadError("unknown_model", f"{_title(model)} is not in this engine.")
            self._see(model, order)
            self._remember(model, self.states[model].without(version), {})
        self._sweep()
        log.info("unloaded %s version %s (order %s)", model, version, order)
        return {"name": model, "version": version, "state": "unloaded"}

    def suspend(self, model: str, order: int, version: str) -> dict[str, Any]:
        """Let a version score no more, from the next request on and over restarts; also one that is not here yet.

        The number is held against the orders about this version alone, so that a deployment of another one goes on.
        Raises `stale_order` or `bad_request`.
        """
        return self._stop(model, order, version, on=True)

    def resume(self, model: str, order: int, version: str) -> dict[str, Any]:
        """Let a version that was suspended score again. Raises `stale_order`."""
        return self._stop(model, order, version, on=False)

    def _stop(self, model: str, order: int, version: str, *, on: bool) -> dict[str, Any]:
        if not (SLUG.fullmatch(model) and SLUG.fullmatch(version)):  # the model may be unknown, and names a file
            raise RecordError("bad_request", "Name a model and a version by letters, digits, - and _.")
        with self._lock:
            after = self.states.get(model, State()).with_stop(version, order, on)
            self._remember(model, after, {})
        log.warning("%s %s version %s (order %s)", "suspended" if on else "resumed", model, version, order)
        return {"name": model, "version": version, "state": "suspended" if on else "resumed", "order": order}

    def index(self) -> list[dict[str, Any]]:
        """Return every version that is kept and whether it can score."""
        return [
            {
                "name": model,
                "version": place.version,
                "state": "READY" if (model, place.version) in self.table else "UNAVAILABLE",
                "reason": "suspended"
                if state.stopped(place.version)
                else self.failures.get((model, place.version), ""),
                "parameters": {**place.told(), "live": place is state.live},
            }
            for model, state in sorted(self.states.items())
            for place in state.places()
        ]

    # below: steps of the acts above

    def _manifest(self, model: str, order: LoadOrder) -> Manifest:
        """Return the parsed manifest of an order, which must hash to the digest and name the same version."""
        manifest = Manifest.parse(order.manifest)
        if manifest.digest != order.digest:
            raise LoadError(
                "digest_mismatch", f"The manifest hashes to {manifest.digest}, not {order.digest}.", field="digest"
            )
        if (manifest.model, str(manifest.version)) != (model, order.version):
            raise LoadError(
                "manifest_mismatch",
                f"The manifest is of {manifest.model!r} version {manifest.version}, not of this model and version.",
                field="manifest",
            )
        listed = {element.name: element for element in manifest.elements}
        for name in NEEDED:
            if name not in listed or listed[name].sha256 not in order.blobs:
                raise LoadError("blob_missing", f"The order gives no blob for the element {name!r}.", field="blobs")
        return manifest

    def _see(self, model: str, order: int) -> None:
        """Remember an order number on disk before anything is done for it."""
        before = self.states.get(model, State())
        after = before.under(order)
        if after != before:
            self.book.write(model, after)
            self.states = self.states | {model: after}

    def _present(self, model: str, order: LoadOrder) -> dict[str, Any] | None:
        """Return the answer for a version that is loaded already. Raises when that number has another digest."""
        state = self.states[model]
        place = state.place(order.version)
        if place is not None and place.digest != order.digest:
            raise LoadError(
                "digest_mismatch",
                f"{_title(model, order.version)} is here with digest {place.digest}; a sealed version never changes.",
                field="digest",
            )
        if place is None or (model, order.version) not in self.table | self.parked:
            return None
        after = state.placed(order.version, order.order, order.suspended)
        if after != state:
            self._remember(model, after, {})
        return _answer(model, place, "live" if place is state.live else "staged")

    def _fetch(self, manifest: Manifest, order: LoadOrder) -> None:
        """Bring every blob of an order here, and the manifest itself as a blob named by its digest."""
        if self.registry is None:
            raise LoadError("no_registry", "This engine was started without --registry, so it fetches nothing.")
        for element in manifest.elements:
            if element.sha256 in order.blobs:
                self.blobs.fetch(self.registry, order.blobs[element.sha256], element.sha256, element.size)
        self.blobs.keep(order.digest, order.manifest)

    def _open(self, model: str, place: Place, manifest: Manifest) -> Loaded:
        """Load and warm up a version from blobs that lie here."""
        shas = {element.name: element.sha256 for element in manifest.elements}
        schemas = [Schema.parse(self.blobs.path(shas[name]).read_bytes()) for name in NEEDED[1:]]
        opened = open_model(self.blobs.path(shas["model"]), manifest.format, *schemas)
        scorer = Scorer(model, place.version, opened, *schemas)
        golden = self.blobs.path(shas.get("golden", "-"))
        if golden.exists():
            with golden.open("rb") as stream:
                scorer.warm_up([pair["input"] for pair in _first(read_golden(stream), WARM_UP_RECORDS)])
        counters = self.counters.setdefault((model, place.version), VersionCounters(model, place.version))
        return Loaded(model, place, manifest, scorer, counters)

    def _restore(self, model: str, place: Place, *, live: bool) -> None:
        """Load a version from disk after a restart; a failure is kept to be told, and the others go on."""
        with self._loads[model]:
            try:
                manifest = self._manifest_on_disk(place)
                loaded = self._open(model, place, manifest)
            except Exception as error:  # whatever a library raises over one version, the others go on
                why = error.message if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
                log.exception("could not restore %s version %s: %s", model, place.version, why)
                self.failures |= {(model, place.version): why} | ({(model, ""): why} if live else {})
                return
            with self._lock:
                if self.states[model].place(place.version) == place:
                    self._share(model, {(model, place.version): loaded} | ({(model, ""): loaded} if live else {}))

    def _manifest_on_disk(self, place: Place) -> Manifest:
        """Return the manifest of a version that was loaded before, with all its blobs hashed again."""
        if not self.blobs.intact(place.digest):
            raise LoadError("blob_damaged", "its manifest on this engine's disk is damaged; deploy it again")
        manifest = Manifest.parse(self.blobs.path(place.digest).read_bytes())
        for element in manifest.elements:
            present = element.name in NEEDED or self.blobs.path(element.sha256).exists()
            if present and not self.blobs.intact(element.sha256):
                raise LoadError("blob_damaged", f"its {element.name} on this engine's disk is damaged; deploy it again")
        return manifest

    def _remember(self, model: str, state: State, fresh: dict[tuple[str, str], Loaded]) -> None:
        """Write a model's state to disk, then serve by it: the table is replaced in one assignment."""
        self.book.write(model, state)
        self.states = self.states | {model: state}
        self._share(model, fresh)

    def _share(self, model: str, fresh: dict[tuple[str, str], Loaded]) -> None:
        """Lay out what is loaded by a model's state: what is kept may be found, unless it is suspended."""
        state = self.states[model]
        kept = {place.version: place.version for place in state.places()}  # the version behind each key
        kept |= {"": state.live.version} if state.live else {}
        stopped = {key for key, version in kept.items() if state.stopped(version)}
        here = self.table | self.parked | fresh
        here = {key: one for key, one in here.items() if key[0] != model or key[1] in kept}
        parked = {key for key in here if (key[1] in stopped if key[0] == model else key in self.parked)}
        self.table = {key: one for key, one in here.items() if key not in parked}
        self.parked = {key: one for key, one in here.items() if key in parked}
        self.failures = {key: why for key, why in self.failures.items() if key not in here}

    def _sweep(self) -> None:
        """Delete the blobs that no kept version needs."""
        with self._lock:
            wanted = {place.digest for state in self.states.values() for place in state.places()}
            here = self.table | self.parked
            if any(key not in here for key in self._kept()):
                return  # a version that could not be loaded may still need its blobs
            wanted |= {element.sha256 for loaded in here.values() for element in loaded.manifest.elements}
            self.blobs.sweep(wanted)

    def _kept(self) -> set[tuple[str, str]]:
        return {(model, place.version) for model, state in self.states.items() for place in state.places()}


def _claim(home: Path) -> Any:
    """Hold the home folder for this process alone. Raises `home_in_use`."""
    handle = (home / ".lock").open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise LoadError("home_in_use", f"Another engine runs on {home}; give this one a --home of its own.") from error
    return handle


def _title(model: str, version: str = "") -> str:
    return f"Model {model!r} version {version}" if version else f"Model {model!r}"


def _answer(model: str, place: Place, state: str) -> dict[str, Any]:
    return {"name": model, "version": place.version, "digest": place.digest, "state": state}


def _first(items: Any, count: int) -> list[Any]:
    return [item for item, _ in zip(items, range(count), strict=False)]
