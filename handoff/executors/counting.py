"""Ask engines what they have counted: each in a thread of its own, so that none waits for another."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from engine.counters import BUCKETS
from handoff.executors.errors import ExecutorError
from handoff.executors.http import Engine
from handoff.plans import Counted

SECONDS = 5.0
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Told:
    """What one engine has counted by model and version, or why it does not say."""

    versions: Mapping[tuple[str, str], Counted] = field(default_factory=dict)
    error: str = ""


def ask_all(urls: Mapping[str, str], *, token: str, seconds: float = SECONDS) -> dict[str, Told]:
    """Return what each engine has counted, by its name. Whatever goes wrong at one is its answer, and no other's."""
    with ThreadPoolExecutor(max(1, min(AT_ONCE, len(urls))), "count") as pool:
        answers = list(pool.map(lambda url: ask(url, token=token, seconds=seconds), urls.values()))
    return dict(zip(urls, answers, strict=True))


def ask(url: str, *, token: str, seconds: float = SECONDS) -> Told:
    """Return what one engine has counted of each version that it has loaded since it started."""
    if not url:
        return Told(error="The engine has no address in ENGINE_URLS here.")
    try:
        answer = Engine(url, token, seconds=seconds).get("/v2/counts")
        if answer["bounds_s"] != list(BUCKETS):
            return Told(error=f"The engine at {url} sorts latencies otherwise; it is of another release.")
        return Told({(str(one["model"]), str(one["version"])): _counted(one) for one in answer["versions"]})
    except ExecutorError as error:
        return Told(error=error.message)
    except (KeyError, TypeError, ValueError):
        return Told(error=f"The engine at {url} tells nothing that can be read.")


def _counted(row: Mapping[str, Any]) -> Counted:
    """Return the counts of one version. Raises KeyError, TypeError or ValueError for what no engine of ours says."""
    statuses = {int(status): int(n) for status, n in row["statuses"].items()}
    buckets = tuple(int(n) for n in row["buckets"])
    counts = (*statuses.values(), *buckets, int(row["records"]))
    if len(buckets) != len(BUCKETS) + 1 or min(counts) < 0:
        raise ValueError("these are no counts")
    return Counted(float(row["began"]), statuses, int(row["records"]), buckets)
