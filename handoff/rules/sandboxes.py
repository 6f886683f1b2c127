"""In which sandbox tests run at least: what a policy names, and what falls short of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.sandbox.levels import LEVELS, MADE_OF, NONE, Level, known
from handoff.rules.reading import Reader


@dataclass(frozen=True, slots=True)
class SandboxRules:
    """What a policy says of sandboxes: the least level in which a test runs whose result counts."""

    least: Level = NONE

    def short(self, level: str) -> str:
        """Return why a level is too low, in words; nothing where it is enough."""
        if LEVELS.index(known(level)) >= LEVELS.index(self.least):
            return ""
        return f"ran in sandbox {level}, and the policy asks for {self.least} ({MADE_OF[self.least]})"


def read_sandbox_rules(reader: Reader, raw: Any) -> SandboxRules:
    """Read `sandbox` of a policy; without it any level is enough."""
    row = reader.mapping("sandbox", raw)
    reader.unknown("sandbox", row, {"least"})
    least = reader.one_of("sandbox.least", row.get("least", NONE), LEVELS)
    return SandboxRules(known(least) if least in LEVELS else NONE)


def higher(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two policies ask for together: the higher of both levels."""
    return {"least": max((part.get("least", NONE) for part in (one, other)), key=LEVELS.index)}
