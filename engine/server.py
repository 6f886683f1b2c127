"""The scoring engine over HTTP: Open Inference Protocol V2, with `activate` and metrics, on Granian's RSGI."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import orjson
from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian._granian import RSGIProtocolClosed as ProtocolClosed
from granian.rsgi import Scope

from engine import counters, tracing
from engine.capture import capture
from engine.errors import EngineError, LoadError, OrderError, RecordError
from engine.inference import HEADER_LENGTH
from engine.parameters import Fields
from engine.request_ids import CURRENT, HEADER, plain
from engine.scoring import Answer, Scorer
from engine.streams.addresses import Reach
from engine.streams.orders import RunOrder
from engine.streams.reachability import ask_all
from engine.streams.replay.orders import ReplayOrder
from engine.streams.supervisor import Supervisor
from engine.versions import Loaded, Versions

log = logging.getLogger("engine")
ORDERS = {"index", "load", "activate", "unload", "replay", "resume", "suspend", "ask", "start", "stop", "forget"}
NAME = "mdlc-engine"
EXTENSIONS = ["binary_tensor_data", "model_repository", "mdlc_activate", "mdlc_runs", "mdlc_profile", "mdlc_counts"]
JSON = [("content-type", "application/json")]
LARGEST_ORDER = 4 << 20
BODY_TIMEOUT_S = 30
BODY_TICKS = 3
RUNS_EVERY_S = 1.0
INLINE_S = 0.002
STATUSES = {
    "unauthorised": 401, "not_found": 404, "unknown_model": 404, "run_unknown": 404,
    "method_not_allowed": 405, "body_slow": 408,
    "digest_mismatch": 409, "run_going": 409, "stale_order": 409,
    "body_too_large": 413, "blob_too_large": 413,
    "blob_mismatch": 422, "format_unsafe": 422,
    "internal_error": 500, "output_breach": 500, "prediction_failed": 500,
    "registry_cut": 502, "registry_refused": 502, "registry_slow": 502, "registry_unreachable": 502,
    "model_not_ready": 503, "not_ready": 503, "suspended": 503, "disk_full": 507,
}  # fmt: skip


class Refusal(EngineError):
    """A request that the server itself refuses."""


class Application:
    """The RSGI application of one engine process."""

    def __init__(self, versions: Versions, runs: Supervisor, token: str, largest_body: int) -> None:
        """Serve these versions and runs; orders need the token, and without one every order is refused."""
        self.versions = versions
        self.runs = runs
        self.largest_body = largest_body
        self._token = hashlib.sha256(token.encode()).digest() if token else None
        self._strangers = counters.VersionCounters("", "")
        self._reading: dict[asyncio.Task[Any] | None, int] = {}
        self._tick = 0
        self._batches = ThreadPoolExecutor(2, "batch")
        self._orders = ThreadPoolExecutor(8, "order")
        self._stops = ThreadPoolExecutor(4, "stop")  # never behind an order that takes its time
        self._acts = {
            "load": self._load,
            "activate": self._activate,
            "unload": self._unload,
            "replay": self._replay,
            "resume": self._resume,
        }

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to serve at once, and load what was live meanwhile."""
        self._loop = loop
        self._watches = [loop.create_task(self._watch_bodies()), loop.create_task(self._watch_runs())]
        threading.Thread(target=self._restore, name="restore", daemon=True).start()

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let nothing hold up the end of the process."""
        for watch in self._watches:
            watch.cancel()
        self.runs.close()
        self._batches.shutdown(wait=False, cancel_futures=True)
        self._orders.shutdown(wait=False, cancel_futures=True)
        self._stops.shutdown(wait=False, cancel_futures=True)

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Answer one request."""
        path = scope.path
        try:
            if path.endswith("/infer"):
                await self._infer(scope, proto, path)
            else:
                await self._answer(scope, proto, path)
        except ProtocolClosed:
            return  # the client went away
        except EngineError as error:
            _send(proto, status_of(error), told(error))
        except Exception:
            log.exception("request to %s failed", path)
            _send(proto, 500, {"error": "The engine failed inside; its log tells more.", "code": "internal_error"})

    async def _infer(self, scope: Scope, proto: HTTPProtocol, path: str) -> None:
        """Score one request and count it."""
        if scope.method != "POST":
            raise Refusal("method_not_allowed", "Inference wants POST.")
        model, version = _infer_target(path)
        count = self._strangers
        try:
            body = await self._body(scope, proto, self.largest_body)
            started = time.perf_counter()
            loaded = self.versions.find(model, version)
            count = loaded.counters
            header_length = scope.headers.get(HEADER_LENGTH)
            if loaded.scorer.pace * len(body) < INLINE_S:
                answer = _score(loaded.scorer, body, header_length, time.perf_counter)
            else:  # in a thread, so that other requests are answered meanwhile
                job = self._loop.run_in_executor(
                    self._batches, _score, loaded.scorer, body, header_length, time.thread_time
                )
                answer = await job
        except ProtocolClosed:
            raise
        except EngineError as error:
            count.refused(status_of(error), causes(error))
            raise
        except Exception:
            count.refused(500, ["internal_error"])
            raise
        count.scored(answer.records, time.perf_counter() - started)
        proto.response_bytes(200, answer.headers, answer.body)

    async def _body(self, scope: Scope, proto: HTTPProtocol, largest: int) -> bytes:
        """Read a request's body, up to a size and within a time."""
        length = scope.headers.get("content-length")
        task = asyncio.current_task()
        self._reading[task] = self._tick
        try:
            if length is None:
                return await _chunks(proto, largest)
            if not length.isdigit() or int(length) > largest:
                raise _too_large(largest)
            return await proto()
        except asyncio.CancelledError:
            if not self._reading[task] + BODY_TICKS < self._tick:
                raise
            raise Refusal("body_slow", f"The request's body did not arrive within {BODY_TIMEOUT_S} s.") from None
        finally:
            del self._reading[task]

    async def _watch_bodies(self) -> None:
        """Give up on bodies that do not arrive. One timer for all: one each would cost every request 10 µs."""
        while True:
            await asyncio.sleep(BODY_TIMEOUT_S / BODY_TICKS)
            self._tick += 1
            for task, began in list(self._reading.items()):
                if task is not None and began + BODY_TICKS < self._tick:
                    task.cancel()

    async def _watch_runs(self) -> None:
        """Start again what crashed."""
        while True:
            await asyncio.sleep(RUNS_EVERY_S)
            await self._loop.run_in_executor(self._orders, self.runs.look)

    async def _answer(self, scope: Scope, proto: HTTPProtocol, path: str) -> None:
        """Answer everything but inference."""
        parts = path.strip("/").split("/")
        CURRENT.set(plain(scope.headers.get(HEADER.lower())))
        if scope.method == "POST" and parts[:2] == ["v2", "repository"]:
            _send(proto, 200, await self._traced_order(scope, proto, parts[2:]))
        elif scope.method != "GET":
            raise Refusal("method_not_allowed", f"{path} wants GET, or is not there.")
        elif parts == ["metrics"]:
            proto.response_bytes(200, [("content-type", counters.CONTENT_TYPE)], self._metrics())
        elif parts == ["v2", "counts"]:
            self._authorise(scope)
            _send(proto, 200, counters.told(list(self.versions.counters.values())))
        elif parts == ["v2", "profile"]:
            self._authorise(scope)
            named = parse_qs(scope.query_string).get("secret", [])
            _send(proto, 200, await self._loop.run_in_executor(self._orders, capture, (), named))
        else:
            _send(proto, 200, self._get(parts))

    def _get(self, parts: list[str]) -> dict[str, Any]:
        """Return what a GET below /v2 asks for."""
        match parts:
            case ["v2"]:
                return {"name": NAME, "version": "1", "extensions": EXTENSIONS}
            case ["v2", "health", "live"]:
                return {"live": True}
            case ["v2", "health", "ready"]:
                if not self.versions.ready:
                    raise Refusal("not_ready", "Not everything that should be live is loaded.")
                return {"ready": True}
            case ["v2", "models", *_, "ready"]:
                loaded = self.versions.find(*_target(["", *parts[:-1]]))
                return {"name": loaded.model, "ready": True}
            case ["v2", "models", *_]:
                return self._metadata(self.versions.find(*_target(["", *parts])))
        raise Refusal("not_found", f"There is nothing at /{'/'.join(parts)}.")

    def _metadata(self, loaded: Loaded) -> dict[str, Any]:
        """Return V2 model metadata: one tensor per field of the schemas."""
        state = self.versions.states[loaded.model]
        return {
            "name": loaded.model,
            "versions": [place.version for place in state.places()],
            "platform": loaded.manifest.format,
            "inputs": loaded.scorer.inputs.tensors(),
            "outputs": loaded.scorer.outputs.tensors(),
            "parameters": loaded.place.told(),
        }

    async def _traced_order(self, scope: Scope, proto: HTTPProtocol, parts: list[str]) -> Any:
        """Carry out a request about the repository, in the trace of whoever sends it."""
        act = parts[-1] if parts and parts[-1] in ORDERS else "other"
        parent = scope.headers.get(tracing.HEADER) or ""
        with tracing.span(f"order {act}", parent=parent, kind=tracing.SpanKind.SERVER, mdlc__request=CURRENT.get()):
            return await self._repository(scope, proto, parts)

    async def _repository(self, scope: Scope, proto: HTTPProtocol, parts: list[str]) -> Any:
        """Carry out a request of the model repository extension; all but the index need the token."""
        match parts:
            case ["index"]:
                wanted = await self._json(scope, proto)
                listed = self.versions.index()
                return [one for one in listed if one["state"] == "READY"] if wanted.get("ready") is True else listed
            case ["models", model, "suspend"]:
                return await self._carry_out(self._stops, self._suspend, model, await self._order(scope, proto))
            case ["models", model, act] if act in self._acts:
                return await self._carry_out(self._orders, self._acts[act], model, await self._order(scope, proto))
            case ["streams", "ask"]:
                return await self._carry_out(self._orders, self._ask, await self._order(scope, proto))
            case ["models", model, "runs", *rest]:
                fields = await self._order(scope, proto)
                return await self._carry_out(self._orders, self._run, model, rest, fields)
        raise Refusal("not_found", "There is nothing here.")

    async def _carry_out(self, pool: ThreadPoolExecutor, act: Callable[..., Any], *given: Any) -> Any:
        """Return what an act answers, in a thread of a pool, whose log knows the request that it belongs to."""
        return await self._loop.run_in_executor(pool, copy_context().run, act, *given)

    async def _order(self, scope: Scope, proto: HTTPProtocol) -> Fields:
        """Return the parameters of an order by somebody who has the token."""
        self._authorise(scope)
        parameters = (await self._json(scope, proto)).get("parameters")
        return Fields(parameters if type(parameters) is dict else {})

    def _load(self, model: str, fields: Fields) -> dict[str, Any]:
        return self.versions.load(model, fields.load_order())

    def _replay(self, model: str, fields: Fields) -> dict[str, Any]:
        """Compare two sources by a version that need not be staged."""
        order = ReplayOrder.of(fields.all(), self.runs.limits)
        with self.versions.held(model, fields.load_order()) as manifest:
            return order.carry_out(manifest, self.versions.blobs.folder)

    def _activate(self, model: str, fields: Fields) -> dict[str, Any]:
        named = fields.text("version"), fields.text("digest")
        return self.versions.activate(model, fields.order(), *named, suspended=fields.flag("suspended"))

    def _suspend(self, model: str, fields: Fields) -> dict[str, Any]:
        """Refuse to score by a version from now on, then stop its runs: their processes score by themselves."""
        told = self.versions.suspend(model, fields.order(), fields.text("version"))
        return {**told, "runs": self.runs.halt(model, fields.text("digest"))}

    def _resume(self, model: str, fields: Fields) -> dict[str, Any]:
        return self.versions.resume(model, fields.order(), fields.text("version"))

    def _unload(self, model: str, fields: Fields) -> dict[str, Any]:
        return self.versions.unload(model, fields.order(), fields.text("version"))

    def _run(self, model: str, parts: list[str], fields: Fields) -> Any:
        """Tell how runs go, or start, stop or forget one."""
        match parts:
            case []:
                return self.runs.states(model)
            case [run]:
                return self.runs.state(run)
            case [run, "start"]:
                return self._start(model, fields, RunOrder.of(run, fields.all(), self.runs.limits))
            case [run, "stop"]:
                return self.runs.stop(run, fields.order(), model if fields.all().get("remember") is True else "")
            case [run, "forget"]:
                self.runs.forget(run)
                return {"run": run, "state": "forgotten"}
        raise Refusal("not_found", "There is nothing here.")

    def _start(self, model: str, fields: Fields, order: RunOrder) -> dict[str, Any]:
        """Start a run of a version that is here, and may score."""
        version = fields.text("version")
        self._hold(model, version, order.digest)
        told = self.runs.start(model, fields.order(), order, tries=fields.count("tries"))
        try:
            self._hold(model, version, order.digest)
        except EngineError:  # it was suspended meanwhile, perhaps after its runs were looked for
            self.runs.halt(model, order.digest)
            raise
        return told

    def _ask(self, fields: Fields) -> dict[str, Any]:
        """Tell what is wrong with each of the named streams, as far as this engine may reach."""
        told = fields.all()
        limits = self.runs.limits
        reach = Reach(told.get("private", False) is True and limits.private, limits.folders)
        return {"streams": ask_all(told.get("streams"), reach=reach)}

    def _hold(self, model: str, version: str, digest: str) -> None:
        """Make sure that a version is here under its digest."""
        here = self.versions.find(model, version).place.digest
        if here != digest:
            raise LoadError(
                "digest_mismatch", f"Version {version} has digest {here} here, not {digest}.", field="digest"
            )

    async def _json(self, scope: Scope, proto: HTTPProtocol) -> dict[str, Any]:
        body = await self._body(scope, proto, LARGEST_ORDER)
        try:
            found = orjson.loads(body) if body else {}
        except orjson.JSONDecodeError as error:
            raise RecordError("bad_json", f"The request is not JSON: {error}.") from None
        if type(found) is not dict:
            raise RecordError("bad_request", "The request is not a JSON object.")
        return found

    def _authorise(self, scope: Scope) -> None:
        """Refuse whoever does not bring the token; the comparison takes the same time for every wrong one."""
        kind, _, given = (scope.headers.get("authorization") or "").partition(" ")
        seen = hashlib.sha256(given.strip().encode("utf-8", "surrogateescape")).digest()
        if self._token is None:
            raise Refusal("unauthorised", "This engine was started without MDLC_ENGINE_TOKEN and takes no orders.")
        if not hmac.compare_digest(seen, self._token) or kind.lower() != "bearer":
            raise Refusal("unauthorised", "Orders need 'Authorization: Bearer' with this engine's token.")

    def _metrics(self) -> bytes:
        table = self.versions.table
        live = [(one.model, one.place.version, one.place.digest) for key, one in sorted(table.items()) if not key[1]]
        counted = [self._strangers, *list(self.versions.counters.values())]
        return counters.exposition(counted, live, self.versions.ready)

    def _restore(self) -> None:
        """Load what was live; should even that fail, stay up, not ready, and say why."""
        try:
            self.versions.restore()
            self.runs.restore()
        except Exception:
            log.exception("could not restore")


def _score(scorer: Scorer, body: bytes, header_length: str | None, clock: Callable[[], float]) -> Answer:
    """Score, and note how long it took: in a thread by its processor time, which waiting for others does not change."""
    began = clock()
    answer = scorer.answer(body, header_length)
    scorer.pace += 0.02 * ((clock() - began) / len(body) - scorer.pace)
    return answer


async def _chunks(proto: HTTPProtocol, largest: int) -> bytes:
    """Read a body that comes without a length."""
    chunks, size = [], 0
    async for chunk in proto:
        size += len(chunk)
        if size > largest:
            raise _too_large(largest)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(largest: int) -> Refusal:
    return Refusal("body_too_large", f"A request's body may have {largest} bytes at most.")


@lru_cache(maxsize=1000)
def _infer_target(path: str) -> tuple[str, str]:
    """Return model and version of a path that ends in /infer."""
    return _target(path.split("/")[:-1])


def _target(parts: list[str]) -> tuple[str, str]:
    """Return model and version ("" for the live one) of a path split at slashes."""
    match parts:
        case ["", "v2", "models", model]:
            return model, ""
        case ["", "v2", "models", model, "versions", version] if version:
            return model, version
    raise Refusal("not_found", f"There is nothing at {'/'.join(parts)}.")


def status_of(error: EngineError) -> int:
    """Return the HTTP status of an error: by its code, else 409 for orders and 400."""
    return STATUSES.get(error.code, 409 if isinstance(error, OrderError) else 400)


def causes(error: EngineError) -> list[str]:
    """Return what to count a refusal under: the broken rules, else the error's code."""
    return [violation["rule"] for violation in error.details.get("violations", [])] or [error.code]


def told(error: EngineError) -> dict[str, Any]:
    """Return an error as the JSON that clients get."""
    details = dict(error.details)
    answer = {"error": error.message, "code": error.code, "violations": details.pop("violations", [])}
    if error.field:
        answer["field"] = error.field
    return answer | ({"details": details} if details else {})


def _send(proto: HTTPProtocol, status: int, content: Any) -> None:
    """Send JSON."""
    headers = [*JSON, ("www-authenticate", "Bearer")] if status == 401 else JSON
    proto.response_bytes(status, headers, orjson.dumps(content))
