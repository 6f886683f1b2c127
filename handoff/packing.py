"""Archives whose bytes follow from what is in them alone: sorted names, one date, one way of packing."""

import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from typing import IO

from models_registry.store import CHUNK, open_blob

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first date that the form knows


def packed(files: Mapping[str, bytes], blobs: Iterable[tuple[str, str]]) -> IO[bytes]:
    """Return a temporary file with an archive of files, and of blobs under their paths; it is gone when closed.

    Raises FileNotFoundError when the store has lost a blob.
    """
    archive: IO[bytes] = tempfile.TemporaryFile(prefix="pack-")  # noqa: SIM115  # whoever gets it closes it
    kept = dict(blobs)
    try:
        _write(archive, files, kept)
    except OSError:
        archive.close()
        raise
    archive.seek(0)
    return archive


def _write(archive: IO[bytes], files: Mapping[str, bytes], kept: Mapping[str, str]) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted([*files, *kept]):
            entry = zipfile.ZipInfo(path, LONG_AGO)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            if path in files:
                out.writestr(entry, files[path])
                continue
            with open_blob(kept[path]) as blob, out.open(entry, "w", force_zip64=True) as file:
                while piece := blob.read(CHUNK):
                    file.write(piece)
