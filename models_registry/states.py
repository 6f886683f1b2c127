"""The only list of legal moves of a model version."""

from django.db import models


class VersionState(models.TextChoices):
    DRAFT = "draft", "draft"
    NOMINATED = "nominated", "nominated"
    DISCARDED = "discarded", "discarded"


MOVES: dict[VersionState, frozenset[VersionState]] = {
    VersionState.DRAFT: frozenset({VersionState.NOMINATED, VersionState.DISCARDED}),
    VersionState.NOMINATED: frozenset(),
    VersionState.DISCARDED: frozenset(),
}

ELEMENTS = ("model", "input_schema", "output_schema", "runtime", "golden", "validation", "thresholds", "training")
OPTIONAL = frozenset({"training"})
SCHEMAS = ("input_schema", "output_schema")
TEXT_ELEMENTS = frozenset({"input_schema", "output_schema", "runtime", "thresholds", "training"})
