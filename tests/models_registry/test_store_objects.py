"""A store that is no folder, such as S3: bytes are copied to this machine, and proven on the way."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, default_storage

from models_registry import store as blobs


class Bucket(Storage):
    """Storage whose files have no path on this machine, as those of a bucket have none."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def _open(self, name: str, mode: str = "rb") -> ContentFile:
        if name not in self.objects:
            raise FileNotFoundError(name)
        return ContentFile(self.objects[name], name)

    def _save(self, name: str, content: File) -> str:
        self.objects[name] = content.read()
        return name

    def exists(self, name: str) -> bool:
        return name in self.objects

    def delete(self, name: str) -> None:
        del self.objects[name]


@pytest.fixture
def objects(db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep blobs in a storage without paths, and return the folder for copies."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    settings.STORE = "s3://bucket"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": f"{__name__}.Bucket"}}
    return tmp_path / "incoming"


def kept(folder: Path) -> list[str]:
    """Return the names of all files that lie in a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_bytes_come_here_once_and_are_what_they_were(objects: Path) -> None:
    digest = blobs.keep_bytes(b"a model").pk
    assert kept(objects) == []
    path = blobs.local_path(digest)
    assert path.read_bytes() == b"a model"
    default_storage.delete(blobs.path_of(digest))
    assert blobs.local_path(digest) == path
    assert kept(objects) == [digest]


@pytest.mark.parametrize("content", [b"another model", b"", None])
def test_altered_or_absent_bytes_never_come_here(objects: Path, content: bytes | None) -> None:
    digest = blobs.keep_bytes(b"a model").pk
    default_storage.delete(blobs.path_of(digest))
    if content is not None:
        default_storage.save(blobs.path_of(digest), ContentFile(content))
    with pytest.raises(FileNotFoundError):
        blobs.local_path(digest)
    assert kept(objects) == []
    assert not blobs.verify(digest)
