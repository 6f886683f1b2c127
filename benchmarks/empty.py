"""Celery tasks that do nothing but tell when they began: the floor of `benchmarks.work`."""

import os
import time
from pathlib import Path

from celery import Celery

BROKER = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0").replace("unix://", "redis+socket://")
TOLD = Path(os.environ.get("BENCH_TOLD", "/dev/null"))
app = Celery("empty", broker=BROKER, backend=BROKER)
app.conf.update(task_default_queue="empty", worker_prefetch_multiplier=1, result_expires=60)


@app.task(ignore_result=True)
def begin(sent: float) -> None:
    """Tell how long ago this was sent."""
    _tell(f"begin {time.time() - sent}")


@app.task
def end() -> float:
    """Do nothing, and return when that was done."""
    return time.time()


@app.task(ignore_result=True)
def join(ends: list[float], sent: float) -> None:
    """Tell how long ago the last of several ended, and how long ago all were sent."""
    now = time.time()
    _tell(f"join {now - max(ends)} {now - sent}")


def _tell(line: str) -> None:
    with TOLD.open("a") as told:
        told.write(line + "\n")
