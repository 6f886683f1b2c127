"""Refuse text that shows otherwise than it reads: characters that are not seen, or that turn the text round."""

import re
from collections.abc import Iterator, Mapping

from audit.errors import Invalid

# Control characters but tab and line breaks; zero-width ones but the joiners that scripts need; what turns writing
# round (https://www.unicode.org/reports/tr9/); tags. A mark at the very beginning only says how a file is encoded.
CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
UNSEEN = "\u200b\u2060-\u2064\u206a-\u206f\U000e0000-\U000e007f"
TURNING = "\u202a-\u202e\u2066-\u2069"
HIDDEN = re.compile(f"[{CONTROLS}{UNSEEN}{TURNING}]|(?!^)\ufeff")
UNREAD = {"password", "code"}  # nobody is shown them


def refuse_hidden(given: Mapping[str, object]) -> None:
    """Refuse what somebody gives to an act where any text of it hides something. Raises Invalid with each place."""
    found = {place: _words(text) for place, text in _texts(given) if HIDDEN.search(text)}
    if found:
        raise Invalid(
            "The text holds characters that are not seen, or that turn it round, so people would read something else.",
            code="text_hidden",
            todo="Write it again without them; often they came along when it was copied.",
            fields=found,
        )


def _words(text: str) -> str:
    seen = dict.fromkeys(f"U+{ord(one):04X}" for one in HIDDEN.findall(text))
    return f"holds {', '.join(seen)}"


def _texts(given: object, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(given, str):
        yield place, given
    elif isinstance(given, Mapping):
        for name, one in given.items():
            if name not in UNREAD:
                yield from _texts(one, f"{place}.{name}" if place else str(name))
    elif isinstance(given, list | tuple):
        for number, one in enumerate(given):
            yield from _texts(one, f"{place}.{number}")
