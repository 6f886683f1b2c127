"""Read an ONNX file's wire format far enough to know that it reaches for nothing outside of it.

This needs neither onnx nor onnxruntime, so it runs wherever a model is loaded, before any library sees the file:
onnxruntime reads external data from below the working directory even for a model that it gets as bytes. It is also
the scan's second opinion on what the onnx library says. Field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, the encoding is https://protobuf.dev/programming-guides/encoding/.
A message that stands twice is looked at twice, so what a parser would merge or overwrite cannot hide anything.
"""

import re
from typing import Any

from engine.errors import FormatError

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
MOST_DEPTH = 100
# Numbers of an attribute stand one by one; a run of floats (field 7) or of integers (field 8) is skipped at once.
RUN = re.compile(rb"(?:\x3d.{4})+|(?:\x40[\x80-\xff]{0,9}[\x00-\x7f])+", re.DOTALL)
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

DOMAIN = "domain"
TENSOR: dict[int, Any] = {13: "external_data"}
LOCATION = 14
SPARSE: dict[int, Any] = {1: TENSOR, 2: TENSOR}
GRAPH: dict[int, Any] = {5: TENSOR, 15: SPARSE}
ATTRIBUTE: dict[int, Any] = {5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE}
GRAPH[1] = {5: ATTRIBUTE, 7: DOMAIN}
MODEL: dict[int, Any] = {7: GRAPH, 8: {1: DOMAIN}, 20: "training_not_allowed", 25: "functions_not_allowed"}
WORDS = {
    "external_data": "Weights lie outside the file; export them into it.",
    "training_not_allowed": "The file holds a graph for training; export the model for inference.",
    "functions_not_allowed": "The file defines functions of its own; export the model with plain operators.",
}


def refuse_reaching_out(content: bytes) -> None:
    """Look through the bytes of an ONNX file.

    Raises FormatError `external_data`, `domain_not_allowed`, `functions_not_allowed`, `training_not_allowed`, or
    `model_not_loadable` when the bytes are damaged.
    """
    waiting: list[tuple[int, int, dict[int, Any], int]] = [(0, len(content), MODEL, 0)]
    while waiting:
        at, end, fields, depth = waiting.pop()
        if depth > MOST_DEPTH:
            raise _damaged("it nests too deep")
        while at < end:
            if fields is ATTRIBUTE and (run := RUN.match(content, at, end)):
                at = run.end()
                continue
            tag, at = _varint(content, at, end)
            number, wire = tag >> 3, tag & 7
            start, at = _value(content, at, end, wire)
            meaning = fields.get(number) if wire == BYTES else None
            if fields is TENSOR and number == LOCATION and wire == VARINT and _varint(content, start, end)[0]:
                raise FormatError("external_data", WORDS["external_data"])
            if isinstance(meaning, dict):
                waiting.append((start, at, meaning, depth + 1))
            elif meaning == DOMAIN:
                _check_domain(content[start:at])
            elif meaning is not None:
                raise FormatError(meaning, WORDS[meaning])


def _value(content: bytes, at: int, end: int, wire: int) -> tuple[int, int]:
    """Return where a value starts and ends. Raises FormatError."""
    start = at
    if wire == VARINT:
        _, at = _varint(content, at, end)
    elif wire == BYTES:
        length, start = _varint(content, at, end)
        at = start + length
    elif wire in (FIXED64, FIXED32):
        at += 8 if wire == FIXED64 else 4
    else:
        raise _damaged(f"a value has the odd encoding {wire}")
    if at > end:
        raise _damaged("it ends in the middle of a value")
    return start, at


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number at a place and the place after it. Raises FormatError."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise _damaged("it ends in the middle of a number")
        byte = content[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (2**64 - 1), at
    raise _damaged("a number is too long")


def _check_domain(raw: bytes) -> None:
    domain = raw.decode(errors="replace")
    if domain not in DOMAINS:
        raise FormatError("domain_not_allowed", f"Operators of {domain[:100]!r} are not on the list; use plain ONNX.")


def _damaged(why: str) -> FormatError:
    return FormatError("model_not_loadable", f"The ONNX file is damaged: {why}; upload it again.")
