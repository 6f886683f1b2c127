"""For what a policy speaks: into which kinds of target, at which risk tiers, and for which types of models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """What is handed over, as policies tell it apart: the kind of the target, the model's risk tier and its type."""

    kind: str
    tier: str
    model_type: str = ""

    def meets(self, applies_to: Mapping[str, Sequence[str]]) -> bool:
        """Tell whether a policy speaks for it. For a model whose type nobody has said all types are spoken for."""
        types = applies_to.get("model_types", ())
        return (
            self.kind in applies_to["target_kinds"]
            and self.tier in applies_to["risk_tiers"]
            and (not types or not self.model_type or self.model_type in types)
        )

    @property
    def words(self) -> str:
        """Return it in words, as they follow “speaks for”."""
        of = f", for models of the type {self.model_type.replace('_', ' ')}" if self.model_type else ""
        return f"{self.kind} environments at {self.tier} risk{of}"
