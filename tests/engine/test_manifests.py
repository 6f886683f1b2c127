"""Manifests: one form, one digest, and nothing that two readers could read differently."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ManifestError
from engine.manifests import FILENAME, Element, Manifest

ELEMENTS = (
    Element("model", "a" * 64, 54_217, "model.onnx"),
    Element("golden", "b" * 64, 12, "golden.jsonl"),
)
MANIFEST = Manifest("tumour-risk", 3, "onnx", ELEMENTS)
CANONICAL = (
    '{"elements":[{"filename":"golden.jsonl","name":"golden","sha256":"' + "b" * 64 + '","size":12},'
    '{"filename":"model.onnx","name":"model","sha256":"' + "a" * 64 + '","size":54217}],'
    '"format":"onnx","manifest":1,"model":"tumour-risk","version":3}'
).encode()


def changed(**change: Any) -> bytes:
    """Return the canonical manifest with other keys, written the same way."""
    content = json.loads(CANONICAL) | change
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def element(**change: Any) -> dict[str, Any]:
    """Return an element with other keys."""
    return {"name": "model", "sha256": "a" * 64, "size": 1, "filename": "model.onnx"} | change


def test_the_canonical_form_is_sorted_and_its_hash_is_the_digest() -> None:
    assert MANIFEST.canonical() == CANONICAL
    assert MANIFEST.digest == sha256(CANONICAL).hexdigest()
    read = Manifest.parse(CANONICAL)
    assert read.digest == MANIFEST.digest
    assert read.element("golden").size == 12
    with pytest.raises(ManifestError, match="no element"):
        read.element("thresholds")


@pytest.mark.parametrize(
    "text",
    [
        CANONICAL + b"\n",
        CANONICAL.replace(b'"size":12}', b'"size": 12}'),
        CANONICAL.replace(b'"manifest":1', b'"manifest":1.0'),
        CANONICAL.replace(b'"manifest":1', b'"manifest":true'),
        CANONICAL.replace(b'"tumour-risk"', b'"tumour\\u002drisk"'),
        b"\xef\xbb\xbf" + CANONICAL,
        changed(elements=[element(), element(name="golden")]),
    ],
)
def test_the_same_content_in_other_bytes_is_refused(text: bytes) -> None:
    with pytest.raises(ManifestError) as refusal:
        Manifest.parse(text)
    assert refusal.value.code in {"manifest_not_canonical", "manifest_malformed"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        CANONICAL[:-1],
        CANONICAL.replace(b'"version":3', b'"version":3,"version":3'),
        b"[" * 100_000,
        changed(more=1),
        changed(manifest=2),
        changed(version=0),
        changed(version=True),
        changed(version=2**53),
        changed(version=10**30),
        changed(version=1.5),
        changed(model="../etc"),
        changed(model=""),
        changed(format="ONNX "),
        changed(format=None),
        changed(elements=[]),
        changed(elements={}),
        changed(elements=[1]),
        changed(elements=[element(), element()]),
        changed(elements=[element(size=-1)]),
        changed(elements=[element(size=2**60)]),
        changed(elements=[element(size=True)]),
        changed(elements=[element(sha256="A" * 64)]),
        changed(elements=[element(sha256="a" * 63)]),
        changed(elements=[element(name="Model")]),
        changed(elements=[element(more=1)]),
        changed(elements=[element(filename="../model.onnx")]),
        changed(elements=[element(filename="a\\b")]),
        changed(elements=[element(filename="..")]),
        changed(elements=[element(filename="")]),
        changed(elements=[element(filename="a\x00")]),
        changed(elements=[element(filename="\ud800")]),
        changed().replace(b"model.onnx", b"\\ud800"),
    ],
)
def test_what_is_odd_is_refused(text: bytes) -> None:
    with pytest.raises(ManifestError) as refusal:
        Manifest.parse(text)
    assert refusal.value.code == "manifest_malformed"


def test_a_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ManifestError):
        Manifest.parse("\ud800")


names = st.from_regex(r"[a-z][a-z_]{0,31}", fullmatch=True)
filenames = st.text(min_size=1, max_size=20).filter(lambda name: FILENAME.fullmatch(name) and name not in (".", ".."))
elements = st.builds(
    Element, names, st.from_regex(r"[0-9a-f]{64}", fullmatch=True), st.integers(0, 2**53 - 1), filenames
)


@settings(deadline=None)
@given(
    st.from_regex(r"[A-Za-z0-9_-]{1,100}", fullmatch=True),
    st.integers(1, 2**53 - 1),
    names,
    st.lists(elements, min_size=1, max_size=6, unique_by=lambda one: one.name),
)
def test_any_manifest_is_read_back_from_its_bytes(model: str, version: int, kind: str, some: list[Element]) -> None:
    manifest = Manifest(model, version, kind, tuple(some))
    read = Manifest.parse(manifest.canonical())
    assert read == Manifest(model, version, kind, tuple(sorted(some, key=lambda one: one.name)))
    assert (read.canonical(), read.digest) == (manifest.canonical(), manifest.digest)


@settings(deadline=None)
@given(st.integers(0, len(CANONICAL) - 1), st.integers(0, 255))
def test_no_other_bytes_have_the_same_content(at: int, byte: int) -> None:
    altered = CANONICAL[:at] + bytes([byte]) + CANONICAL[at + 1 :]
    try:
        read = Manifest.parse(altered)
    except ManifestError:
        return
    assert read.canonical() == altered
    assert (read == Manifest.parse(CANONICAL)) == (altered == CANONICAL)
