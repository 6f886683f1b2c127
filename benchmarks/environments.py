"""Virtual environments for peers, so that what we compare with is no requirement of ours."""

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "var"


def environment(name: str, packages: list[str]) -> Path:
    """Return the Python of a peer's environment, which is made unless it is there with these packages."""
    place = FOLDER / f"bench-{name}"
    python, stamp, wanted = place / "bin" / "python", place / "packages", "\n".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        uv = [shutil.which("uv") or str(Path(sys.executable).parent / "uv")]
        subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, place], check=True)
        subprocess.run([*uv, "pip", "install", "-q", "--python", python, *packages], check=True)
        stamp.write_text(wanted)
    return python
