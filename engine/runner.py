"""Run a model in a process of its own, and keep every verdict outside of it."""

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.errors import EngineError, FormatError, RunnerError
from engine.limits import Limits
from engine.sandbox.acts import through
from engine.sandbox.levels import ENCLOSED, NONE
from engine.sandbox.starting import ROOT, start, strays
from engine.schemas import Schema, Violation

__all__ = ["Limits", "Outcome", "Process", "Runner"]

log = logging.getLogger(__name__)
CHUNK = 1000
CHUNK_BYTES = 1 << 16
LARGEST_ANSWER = 64_000_000
LAST_WORDS = 2000
LINGER_S = 5.0
SHELL_SIGNALS = 128


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one record: an output, or the violations for which it, or its output, was refused."""

    output: dict[str, Any] | None = None
    violations: tuple[Violation, ...] = ()
    output_violations: tuple[Violation, ...] = ()


class Process:
    """The child process and the conversation with it: one request, one answer, under a deadline."""

    def __init__(self, limits: Limits, reads: Sequence[Path] = ()) -> None:
        """Start it on the rung of the ladder that the limits name, with nothing but `reads` to read.

        Raises RunnerError `sandbox_lost` where that level does not hold.
        """
        self.deadline = time.monotonic() + limits.seconds
        self.seconds, self.level = limits.seconds, limits.level
        # `pid` is the process that holds the model; at L2 bubblewrap stands before it.
        try:
            self.process, self.pid = start("engine.runner_child", limits, reads, root=ROOT)
        except OSError as error:
            if limits.level == NONE:
                raise
            raise RunnerError("sandbox_lost", f"The sandbox {self.level} cannot be had: {error}") from error
        os.set_blocking(self._pipe(self.process.stdin).fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe(self.process.stdout), selectors.EVENT_READ)
        self._selector.register(self._pipe(self.process.stderr), selectors.EVENT_READ)
        self._last_words = b""
        if limits.level != NONE:
            self._prove()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer to a request. Raises what the child told, or RunnerError if it ended, hung or babbled."""
        try:
            line = json.dumps({"do": do, **arguments}, allow_nan=False).encode() + b"\n"
        except (TypeError, ValueError) as error:
            raise RunnerError("request_malformed", f"A record is no plain JSON: {error}.") from error
        answer = _read(self._converse(line))
        if "error" in answer:
            told = answer["error"]
            raise FormatError(told["code"], told["message"], field=told["field"])
        return dict(answer["ok"])

    def peak_memory_mb(self) -> float:
        """Return the greatest resident memory the process had so far, in megabytes (VmHWM)."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
        except (OSError, IndexError) as error:  # without the line it has ended, and waits to be told apart
            raise self._ended() from error

    def close(self) -> None:
        """End the process and everything it started, also what left its group."""
        if self.pid != self.process.pid and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.kill(self.pid, signal.SIGKILL)  # the first of its world, which ends with it; bubblewrap collects it
                self.process.wait(LINGER_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stray in strays(self.process.pid):
            log.warning("a model's process left process %s behind; it was ended", stray)
            with contextlib.suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)
        self._selector.close()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _prove(self) -> None:
        """Have the process try what a hostile model would, before it holds one. Raises RunnerError."""
        try:
            refused = self.ask("confined").get("refused")
        except EngineError as error:
            self.close()
            raise RunnerError("sandbox_lost", f"The sandbox {self.level} cannot be had: {error.message}") from error
        if let_through := through(refused):
            self.close()
            raise RunnerError("sandbox_lost", f"The sandbox {self.level} does not hold: {', '.join(let_through)}.")

    def _converse(self, line: bytes) -> bytes:
        """Send a line and return the line that answers it, listening all the while, so that neither side waits."""
        if any(key.fileobj is self.process.stdout for key, _ in self._selector.select(0)):
            if not os.read(self._pipe(self.process.stdout).fileno(), 1):
                raise self._ended()
            raise RunnerError("answer_malformed", "The model's process answered without being asked.")
        answer = bytearray()
        left = memoryview(line)
        stdin = self._pipe(self.process.stdin)
        self._selector.register(stdin, selectors.EVENT_WRITE)
        try:
            while not answer.endswith(b"\n"):
                left = self._step(left, answer)
                if len(answer) > LARGEST_ANSWER:
                    raise RunnerError("answer_too_large", f"The model's process sent over {LARGEST_ANSWER} bytes.")
        finally:
            if stdin in self._selector.get_map():
                self._selector.unregister(stdin)
        return bytes(answer)

    def _step(self, left: memoryview, answer: bytearray) -> memoryview:
        """Move what can be moved through the pipes, and return what is left to send. Raises RunnerError."""
        remaining = self.deadline - time.monotonic()
        events = self._selector.select(remaining) if remaining > 0 else []
        if not events:
            raise self._late()
        for key, _ in events:
            if key.fileobj is self.process.stdin:
                left = self._send(left)
                continue
            chunk = os.read(key.fd, CHUNK_BYTES)
            if key.fileobj is self.process.stdout and chunk:
                answer += chunk
            elif key.fileobj is self.process.stdout:
                raise self._ended()
            elif chunk:
                self._last_words = (self._last_words + chunk)[-LAST_WORDS:]
            else:
                self._selector.unregister(key.fileobj)
        return left

    def _send(self, left: memoryview) -> memoryview:
        stdin = self._pipe(self.process.stdin)
        try:
            left = left[os.write(stdin.fileno(), left[:CHUNK_BYTES]) :]
        except BlockingIOError:
            return left
        except BrokenPipeError as error:
            raise self._ended() from error
        if not left:
            self._selector.unregister(stdin)
        return left

    def _late(self) -> RunnerError:
        return RunnerError("time_exceeded", f"The model did not finish within {self.seconds} seconds; it was ended.")

    def _ended(self) -> RunnerError:
        try:
            code = self.process.wait(LINGER_S)
            if self.level == ENCLOSED and code > SHELL_SIGNALS:
                code = SHELL_SIGNALS - code  # as bubblewrap tells of a signal
            known = {one.value: one.name for one in signal.Signals}
            how = known.get(-code, f"signal {-code}") if code < 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            how = "it closed its pipes"
        words = self._last_words.decode(errors="replace").strip().splitlines()
        last = f" Its last words: {words[-1][:300]}" if words else ""
        return RunnerError("runner_ended", f"The model's process ended ({how}).{last}")

    @staticmethod
    def _pipe(pipe: Any) -> Any:
        if pipe is None:
            raise RunnerError("runner_ended", "The model's process has no pipes.")
        return pipe


def _read(line: bytes) -> dict[str, Any]:
    """Return an answer of the right form, {"ok": {...}} or {"error": {...}}; it may hold NaN. Raises RunnerError."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict) and answer.keys() == {"ok"} and isinstance(answer["ok"], dict):
        return answer
    if isinstance(answer, dict) and answer.keys() == {"error"} and isinstance(answer["error"], dict):
        told = answer["error"]
        if told.keys() == {"code", "message", "field"} and all(isinstance(words, str) for words in told.values()):
            return answer
    raise RunnerError("answer_malformed", "The model's process gave an answer that is none.")


class Runner:
    """A sealed version, running in its own process. Use it in a `with` statement.

    `elements` maps element names to files; `model`, `input_schema` and `output_schema` are needed. Schemas are checked
    here, on this side: the child only turns inputs into predictions.
    """

    def __init__(self, elements: Mapping[str, Path], format: str, limits: Limits | None = None) -> None:
        self.format = format
        self.path = elements["model"]
        self.inputs = Schema.parse(elements["input_schema"].read_bytes())
        self.outputs = Schema.parse(elements["output_schema"].read_bytes())
        self.limits = limits or Limits()

    def __enter__(self) -> "Runner":
        self.process = Process(self.limits, (self.path.resolve(),))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.close()

    def load(self) -> float:
        """Load the model and return the seconds it took. Raises FormatError or RunnerError."""
        started = time.perf_counter()
        self.process.ask(
            "load",
            path=str(self.path.resolve()),
            format=self.format,
            input_schema=self.inputs.to_dict(),
            output_schema=self.outputs.to_dict(),
        )
        return time.perf_counter() - started

    def score(self, records: Sequence[Any]) -> list[Outcome]:
        """Return one outcome for each of N records: those that break the input schema never reach the model.

        Raises FormatError `prediction_failed` or RunnerError.
        """
        checked = [tuple(self.inputs.check(record)) for record in records]
        good = [record for record, wrong in zip(records, checked, strict=True) if not wrong]
        outputs = iter([output for at in range(0, len(good), CHUNK) for output in self._predict(good[at : at + CHUNK])])
        outcomes = []
        for wrong in checked:
            if wrong:
                outcomes.append(Outcome(violations=wrong))
                continue
            output = next(outputs)
            odd = tuple(self.outputs.check(output))
            outcomes.append(Outcome(output_violations=odd) if odd else Outcome(output))
        return outcomes

    def time(self, records: Sequence[Mapping[str, Any]], repeats: int) -> list[float]:
        """Return the seconds of single-record calls, as seen from outside: `repeats` rounds over the records."""
        found = []
        for _ in range(repeats):
            for record in records:
                started = time.perf_counter()
                self._predict([record])
                found.append(time.perf_counter() - started)
        return found

    def peak_memory_mb(self) -> float:
        """Return the greatest resident memory of the model's process so far, in megabytes (10^6 bytes)."""
        return self.process.peak_memory_mb()

    def _predict(self, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        outputs = self.process.ask("predict", records=list(records)).get("outputs")
        if not isinstance(outputs, list) or len(outputs) != len(records):
            raise RunnerError("answer_malformed", "The model did not give one output for each record.")
        return outputs
