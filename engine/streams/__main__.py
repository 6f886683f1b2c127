"""Carry out one run: `python -m engine.streams RUN_FOLDER BLOBS_FOLDER`. Started and watched by an engine."""

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
    try:
        Run(Path(sys.argv[1]), Path(sys.argv[2])).carry_out(stop)
    except EngineError as error:
        logging.getLogger("engine.streams").error("%s: %s", error.code, error.message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
