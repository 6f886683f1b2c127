"""Start a scoring engine: `python -m engine --host 127.0.0.1 --port 8600 --home var/engine --registry URL`."""

import os
import sys

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # read once, when NumPy and its like are imported: so before the import below

from engine.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
