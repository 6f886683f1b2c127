"""Fetch the vendored assets again: named npm packages in exact versions, a few files of each, hashed and listed.

Run by hand (`python static/vendor/refresh.py`, needs npm) when a version here changes; what it writes is committed.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = {
    "@tabler/core": ("1.6.1", "MIT", ["dist/css/tabler.min.css", "package.json"]),
    "htmx.org": ("2.0.10", "0BSD", ["dist/htmx.min.js", "LICENSE"]),
}
# Where a package leaves its own licence out, the text of its repository stays beside it.
LICENCES = {"@tabler/core": "github tabler/tabler@0bbf1f2537ae0517f20da8cea0d677a2c63de619: LICENSE"}


def fetch(name: str, version: str, folder: Path) -> Path:
    """Return the tarball of a package in one version."""
    done = subprocess.run(
        ["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, capture_output=True, text=True
    )
    return folder / done.stdout.strip().splitlines()[-1]


def keep(target: Path, content: bytes, name: str, version: str, licence: str, source: str) -> dict[str, str]:
    """Write one file, and return its entry in the list."""
    target.write_bytes(content)
    return {
        "name": name,
        "version": version,
        "licence": licence,
        "source": source,
        "file": str(target.relative_to(HERE)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def main() -> None:
    """Replace all vendored files, and write their list."""
    listed = []
    with tempfile.TemporaryDirectory() as temporary:
        for name, (version, licence, files) in PACKAGES.items():
            tarball = fetch(name, version, Path(temporary))
            folder = HERE / name.replace("@", "").replace("/", "-").replace(".org", "")
            licence_text = (folder / "LICENSE").read_bytes() if name in LICENCES else b""
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with tarfile.open(tarball) as archive:
                for member in files:
                    source = archive.extractfile(f"package/{member}")
                    if source is None:
                        raise SystemExit(f"{name} {version} has no {member}.")
                    content = source.read()
                    source_of = f"npm {name}@{version}: {member}"
                    listed.append(keep(folder / Path(member).name, content, name, version, licence, source_of))
            if name in LICENCES:
                listed.append(keep(folder / "LICENSE", licence_text, name, version, licence, LICENCES[name]))
    (HERE / "assets.json").write_text(json.dumps(listed, indent=2) + "\n")


if __name__ == "__main__":
    main()
