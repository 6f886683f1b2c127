"""Guess why two values differ, from the two alone: what commonly goes wrong between two tools."""

from __future__ import annotations

import struct
import unicodedata
from datetime import datetime
from typing import Any

from engine.streams.replay.sides import MISSING

# What each guess means, for people.
CAUSES = {
    "byte_order_mark": "a byte order mark went into the text",
    "decimal_comma": "a comma stands for the decimal point",
    "empty_for_null": "an empty text stands for null",
    "encoding": "UTF-8 was read as another encoding",
    "fraction": "a whole number was sent as a fraction",
    "leading_zeros": "a text of digits lost its zeros",
    "letter_case": "capitals and small letters differ",
    "number_as_text": "a number was sent as text, or a text as number",
    "rounded": "a number beyond 2^53 went through a double",
    "scale": "the unit differs by a power of ten",
    "single_precision": "a number went through 32 bits",
    "spaces": "spaces stand around the text",
    "time_zone": "the time is told in another zone",
    "unicode_form": "the letters are composed in another way",
    "zero_for_null": "a zero, false or nothing stands for null",
    "zone_missing": "the time lost its zone",
}
BYTE_ORDER_MARK = "\ufeff"
QUARTER, LONGEST_SHIFT = 900, 14 * 3600
EPOCH_S, EPOCH_MS = 10**8, 10**11  # numbers from here on may be times: seconds since 1973, and milliseconds
POWERS = tuple(10**power for power in (1, 2, 3, 6, 9))


def cause(creation: Any, production: Any) -> str:
    """Return a word of CAUSES, or nothing."""
    pair = {str if isinstance(one, str) else type(one) for one in (creation, production)}
    if creation in (None, MISSING) or production in (None, MISSING):
        other = production if creation in (None, MISSING) else creation
        if isinstance(other, str):
            return "" if other else "empty_for_null"
        return "" if other in (None, MISSING) or other else "zero_for_null"
    if pair == {str}:
        return _of_texts(creation, production)
    if str in pair:
        return _of_text(*((creation, production) if isinstance(creation, str) else (production, creation)))
    if pair <= {int, float}:
        return _of_numbers(creation, production)
    return ""


def _of_texts(creation: str, production: str) -> str:
    for name, change in (
        ("byte_order_mark", lambda text: text.replace(BYTE_ORDER_MARK, "")),
        ("spaces", str.strip),
        ("letter_case", str.casefold),
        ("unicode_form", lambda text: unicodedata.normalize("NFC", text)),
    ):
        if change(creation) == change(production):
            return name
    if creation.isdigit() and production.isdigit() and creation.lstrip("0") == production.lstrip("0"):
        return "leading_zeros"
    if _is_misread(creation, production) or _is_misread(production, creation):
        return "encoding"
    if "," in creation + production and creation.replace(",", ".") == production.replace(",", "."):
        return "decimal_comma"
    return _of_times(creation, production)


def _of_times(creation: str, production: str) -> str:
    try:
        mine, other = datetime.fromisoformat(creation), datetime.fromisoformat(production)
    except ValueError:
        return ""
    if (mine.tzinfo is None) != (other.tzinfo is None):
        return "zone_missing"
    return "time_zone" if _is_shift((mine - other).total_seconds()) or mine == other else ""


def _of_text(text: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    try:
        if float(text) == value:
            zeros = len(text) > 1 and text[0] == "0" and text.isdigit()
            return "leading_zeros" if zeros else "number_as_text"
        return ""
    except (ValueError, OverflowError):
        pass
    try:
        return "decimal_comma" if float(text.replace(".", "").replace(",", ".")) == value else ""
    except (ValueError, OverflowError):
        return ""


def _of_numbers(creation: float, production: float) -> str:
    if creation == production:
        return "fraction"
    try:
        if type(creation) is int and type(production) is int and float(creation) == float(production):
            return "rounded"
        fraction = creation % 1 or production % 1
        if fraction and (float(production) in _single(creation) or float(creation) in _single(production)):
            return "single_precision"
        gap = production - creation
    except OverflowError:
        return ""
    smaller, larger = sorted((abs(creation), abs(production)))
    if smaller and any(abs(larger / smaller / power - 1) < 1e-9 for power in POWERS):
        return "scale"
    if smaller >= EPOCH_MS and _is_shift(gap / 1000):
        return "time_zone"
    return "time_zone" if EPOCH_S <= smaller < EPOCH_MS and _is_shift(gap) else ""


def _single(value: float) -> tuple[float, ...]:
    """Return a number as it comes out of 32 bits. Raises OverflowError."""
    return struct.unpack("f", struct.pack("f", value))


def _is_shift(seconds: float) -> bool:
    return bool(seconds) and seconds % QUARTER == 0 and abs(seconds) <= LONGEST_SHIFT


def _is_misread(text: str, other: str) -> bool:
    """Tell whether one text is the other's UTF-8, read as the old encoding of western Europe."""
    for encoding in ("latin-1", "cp1252"):
        try:
            if other.encode(encoding) == text.encode():
                return True
        except UnicodeEncodeError:
            continue
    return False
