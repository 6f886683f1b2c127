"""The process that scans a model file: it reads, and tells what it found in one line of JSON."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from engine.runner_child import confine
from engine.scan import scan

if __name__ == "__main__":
    path, format, memory_mb, seconds = sys.argv[1:5]
    confine(int(memory_mb), int(seconds), os.getppid())
    print(json.dumps(asdict(scan(Path(path), format))))
