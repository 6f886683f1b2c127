"""Carry out one run: `python -m engine.streams RUN_FOLDER BLOBS_FOLDER`. Started and watched by an engine.

With `--scheduler tcp://HOST:8786`, a Dask cluster scores the parts of its source, and this process leads it.
"""

import argparse
import ctypes
import logging
import os
import signal
import sys
import threading
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # read once, when NumPy and its like are imported: so before the import below

from engine.errors import EngineError  # noqa: E402
from engine.streams.runs import Run  # noqa: E402

PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> int:
    """Run until the source ends, or SIGTERM; return 0, or 1 when it failed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    asked = _asked()
    try:
        if asked.scheduler:
            from engine.streams.distributed_runs import DistributedRun  # a run on one machine has no use for it

            DistributedRun(asked.folder, asked.blobs, asked.scheduler).carry_out(stop)
        else:
            Run(asked.folder, asked.blobs).carry_out(stop)
    except EngineError as error:
        logging.getLogger("engine.streams").error("%s: %s", error.code, error.message)
        return 1
    return 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine.streams", description=__doc__)
    parser.add_argument("folder", type=Path, help="of the run, with its order.json")
    parser.add_argument("blobs", type=Path, help="folder of the version's elements, each named by its SHA-256")
    parser.add_argument("--scheduler", default="", metavar="URL", help="of a Dask cluster that shares both folders")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
