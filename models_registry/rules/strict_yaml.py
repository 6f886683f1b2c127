"""YAML as people write it here: without aliases, without a key that stands twice, and only what JSON can hold."""

import json
from typing import Any

import yaml


class StrictLoader(yaml.SafeLoader):
    """YAML without aliases and without a key that stands twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("anchors and aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise yaml.YAMLError(f"a key stands twice near line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


def plain_from(source: str) -> Any:
    """Return what a YAML text holds, as JSON would. Raises ValueError in words for anything else."""
    try:
        content = yaml.load(source, Loader=StrictLoader)  # noqa: S506 - a safe loader, made stricter above
        return json.loads(json.dumps(content, allow_nan=False))
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"it is not YAML that we accept: {error}") from error


def text_of(content: Any) -> str:
    """Return plain data as YAML, in the order in which it was given."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100) if content else ""
