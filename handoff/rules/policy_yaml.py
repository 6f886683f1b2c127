"""The text of a policy or a checklist: YAML without aliases and keys that stand twice; times and dates stay texts."""

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


class PolicyTooLong(Invalid):
    """The text of a policy is over the limit."""

    code = "policy_too_long"


class PolicyNotYaml(Invalid):
    """The text of a policy is not YAML that we accept."""

    code = "policy_not_yaml"


class ChecklistTooLong(Invalid):
    """The text of a checklist is over the limit."""

    code = "checklist_too_long"


class ChecklistNotYaml(Invalid):
    """The text of a checklist is not YAML that we accept."""

    code = "checklist_not_yaml"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a text is of, the key that it starts with, and how it is refused."""

    name: str
    start: str
    too_long: type[Invalid]
    not_yaml: type[Invalid]


POLICY = Kind("policy", "policy", PolicyTooLong, PolicyNotYaml)
CHECKLIST = Kind("checklist", "template", ChecklistTooLong, ChecklistNotYaml)


def read_text(source: str, of: Kind = POLICY) -> PolicyText:
    """Return what the YAML of a policy, or of a checklist, says. Raises Invalid with the line that is wrong."""
    if len(source) > LIMIT:
        raise of.too_long(f"The {of.name} is longer than 256 KiB.")
    try:
        loader = PolicyLoader(source)
        node = loader.get_single_node()
        content = loader.construct_document(node) if node is not None else None
        lines = dict(_lines("", node)) if node is not None else {}
        rfc8785.dumps(plain(content) if of is CHECKLIST else content)
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        raise of.not_yaml(f"The {of.name} is not YAML that we accept: {error}") from error
    if not isinstance(content, dict):
        raise of.not_yaml(f"A {of.name} is a mapping that starts with '{of.start}: <short name>'.")
    return PolicyText(content, lines)


def plain(content: Any) -> Any:
    """Return content with texts for keys, as JSON has them: the levels of a checklist are numbered."""
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    return [plain(value) for value in content] if isinstance(content, list) else content


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
