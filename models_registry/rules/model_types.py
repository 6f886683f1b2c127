"""What a model of each type is measured by, so that no model has its type in name only."""

from collections.abc import Collection

OF_LABELS = frozenset({"accuracy", "f1", "roc_auc", "log_loss"})
OF_QUANTITIES = frozenset({"rmse", "mae", "r2"})
MEASURED_BY = {"classification": OF_LABELS, "regression": OF_QUANTITIES, "forecasting": OF_QUANTITIES}


def contradicted(model_type: str, metrics: Collection[str]) -> str:
    """Return why the metrics of a version's thresholds do not go with its model's type; nothing where they do.

    At least one must be of the type's own kind; types that are measured in many ways, and none, go with any.
    """
    known = MEASURED_BY.get(model_type)
    if known is None or known & set(metrics):
        return ""
    named = " and ".join(sorted(metrics)) or "nothing"
    return f"a {model_type} model is measured by {', '.join(sorted(known))}, and the thresholds name {named}"
