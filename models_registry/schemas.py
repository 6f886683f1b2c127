"""The schemas of a version: written in other languages, and compared with those of another version."""

from dataclasses import dataclass
from typing import Any

from engine.compatibility import Compatibility, compare_schemas
from engine.exchange.languages import LANGUAGES, Language, write_schema
from engine.schemas import Schema
from models_registry.errors import Hidden
from models_registry.models import Element


@dataclass(frozen=True, slots=True)
class Schemas:
    """The two schemas of a version; a draft may miss either."""

    inputs: Schema | None
    outputs: Schema | None


def schemas_in(elements: list[Element]) -> Schemas:
    """Return the schemas among the elements of a version."""
    texts = {one.name: one.text or "" for one in elements}
    inputs, outputs = (
        Schema.parse(texts[name]) if name in texts else None for name in ("input_schema", "output_schema")
    )
    return Schemas(inputs, outputs)


def written(schemas: Schemas, language: str) -> dict[str, Any]:
    """Return both schemas in a language, and notes on what it cannot say. Raises Hidden for a language we do not write.

    An MLflow signature is one document, whose sides are texts, as the file MLmodel has them.
    """
    found: Language | None = next((one for one in LANGUAGES if one == language), None)
    if found is None:
        raise Hidden("Schemas are not written in this language.", todo="Ask for one of " + ", ".join(LANGUAGES) + ".")
    told: dict[str, Any] = {"language": found, "inputs": None, "outputs": None, "notes": []}
    if found == "mlflow":
        signature, notes = write_schema(found, schemas.inputs, schemas.outputs)
        return told | signature | {"notes": notes}
    for side, schema in (("inputs", schemas.inputs), ("outputs", schemas.outputs)):
        if schema is not None:
            told[side], notes = write_schema(found, schema)
            told["notes"] += [f"{side}: {note}" for note in notes]
    return told


def compared(before: Schemas, after: Schemas) -> dict[str, Compatibility]:
    """Return how each schema that both have went on, by side."""
    pairs = {"inputs": (before.inputs, after.inputs), "outputs": (before.outputs, after.outputs)}
    return {side: compare_schemas(old, new) for side, (old, new) in pairs.items() if old and new}
