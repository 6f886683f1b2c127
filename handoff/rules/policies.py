"""Read a policy: strict, with every mistake named; what is not understood is refused."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import rfc8785

from handoff.errors import Invalid
from handoff.rules.checklist_templates import Known, expanded, templates
from handoff.rules.policy_reader import PolicyReader
from handoff.rules.policy_terms import GATES, KINDS, MEANINGS, TIERS, Gate, PolicyRules, SignOffRule
from handoff.rules.policy_yaml import read_text

__all__ = [
    "GATES",
    "KINDS",
    "MEANINGS",
    "TIERS",
    "UNION_OF",
    "Gate",
    "PolicyRules",
    "SignOffRule",
    "digest_of",
    "load",
    "parse",
    "refused",
    "understood",
]
UNION_OF = "union_of"  # in the content of a union: the policies with their digests; nobody can publish it


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a policy's canonical content, 64 hex digits."""
    return sha256(rfc8785.dumps(dict(content))).hexdigest()


def load(source: str) -> dict[str, Any]:
    """Return the content of a policy's YAML, with the items of the product's templates that it includes.

    Raises Invalid with the line that is wrong.
    """
    return expanded(read_text(source).content)


def parse(content: Mapping[str, Any]) -> PolicyRules:
    """Return the rules in a policy's content, or in a union's. Raises Invalid that lists every mistake by its place."""
    reader = PolicyReader()
    rules = reader.policy({key: value for key, value in content.items() if key != UNION_OF})
    if reader.mistakes:
        raise refused(reader.mistakes)
    return rules


def understood(source: str, known: Known = templates) -> tuple[dict[str, Any], PolicyRules]:
    """Return the content of a policy's YAML and its rules. Raises Invalid that tells each mistake with its line.

    `known` gives the checklist templates that it may include; without it, those of the product.
    """
    text = read_text(source)
    reader = PolicyReader()
    content = expanded(text.content, known)
    rules = reader.policy(content)
    if reader.mistakes:
        raise refused({place: f"{told} (line {text.line(place)})" for place, told in reader.mistakes.items()})
    return content, rules


def refused(mistakes: Mapping[str, str | list[str]]) -> Invalid:
    """Return the refusal of a policy that has mistakes, each by its place."""
    return Invalid(
        "The policy cannot be published: " + "; ".join(f"{place}: {told}" for place, told in mistakes.items()),
        code="policy_invalid",
        todo="Correct what is named, then validate it again.",
        fields=dict(mistakes),
    )
