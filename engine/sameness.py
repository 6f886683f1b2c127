"""What makes two machines score alike: our own sources, the interpreter, and the libraries that read and compute."""

import hashlib
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("fastavro", "numpy", "onnxruntime", "orjson", "pandas", "pyarrow", "scikit-learn", "skops")


@cache
def engine_digest() -> str:
    """Return the SHA-256 of all of it: where it is the same, the same records get the same outputs."""
    digest = hashlib.sha256()
    for name in LIBRARIES:
        digest.update(f"{name} {version(name)}\0".encode())
    digest.update(".".join(map(str, sys.version_info[:3])).encode())
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"\0{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()
