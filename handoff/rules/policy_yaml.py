"""The text of a policy: YAML without aliases, without a key that stands twice, in which times and dates stay texts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785
import yaml

from handoff.errors import Invalid
from models_registry.rules.strict_yaml import StrictLoader

LIMIT = 256 * 1024
PLAIN_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
STEP = re.compile(r"(\.?[^.\[]+|\[\d+\])$")


class PolicyLoader(StrictLoader):
    """YAML in which 16:00 is no number and 2026-12-24 no date: both are texts, as JSON has them."""

    yaml_implicit_resolvers = {
        first: [
            (tag, PLAIN_INT if tag == "tag:yaml.org,2002:int" else pattern)
            for tag, pattern in resolvers
            if tag != "tag:yaml.org,2002:timestamp"
        ]
        for first, resolvers in StrictLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class PolicyText:
    """What a text says, and in which line each place stands."""

    content: dict[str, Any]
    lines: Mapping[str, int]

    def line(self, place: str) -> int:
        """Return the line of a place, or of what is nearest around it."""
        while place and place not in self.lines:
            place = STEP.sub("", place)
        return self.lines.get(place, 1)


def read_text(source: str) -> PolicyText:
    """Return what a policy's YAML says. Raises Invalid with the line that is wrong."""
    if len(source) > LIMIT:
        raise Invalid("The policy is longer than 256 KiB.", code="policy_too_long")
    loader = None
    try:
        loader = PolicyLoader(source)
        node = loader.get_single_node()
        content = loader.construct_document(node) if node is not None else None
        lines = dict(_lines("", node)) if node is not None else {}
        rfc8785.dumps(content)
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        raise Invalid(f"The policy is not YAML that we accept: {error}", code="policy_not_yaml") from error
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(content, dict):
        raise Invalid("A policy is a mapping that starts with 'policy: <short name>'.", code="policy_not_yaml")
    return PolicyText(content, lines)


def _lines(place: str, node: yaml.Node) -> Iterator[tuple[str, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = f"{place}.{key.value}".lstrip(".")
            yield from _lines(below, value)
            yield below, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for at, value in enumerate(node.value):
            yield from _lines(f"{place}[{at}]", value)
