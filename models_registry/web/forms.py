"""The forms of the registry's pages. They hold what was typed; the rules are in the services."""

from typing import Any

from django import forms

from audit.errors import Refused
from models_registry.models import RegisteredModel

SCHEMA = (
    "Avro with constraints, JSON Schema, an MLflow signature, a Parquet or Arrow file, or a sample as CSV or JSON "
    "lines. Left out, it can be inferred."
)


def tell(form: forms.Form, refusal: Refused) -> None:
    """Show a refusal in a form: beside the fields that it names, and above the rest."""
    beside = False
    for place, told in refusal.fields.items():
        head, _, rest = place.partition(".")
        field = place if place in form.fields else head if head in form.fields else None
        beside = beside or field is not None
        where = "" if field == place else f"{rest}: " if field else f"{place}: "
        for sentence in [told] if isinstance(told, str) else told:
            form.add_error(field, f"{where}{sentence}")
    if not beside:
        form.add_error(None, f"{refusal.message} {refusal.todo}".strip())


class ModelForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="As people call it.")
    slug = forms.SlugField(
        label="Short name", max_length=50, help_text="In addresses and on the engine; it never changes."
    )
    purpose = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), help_text="What decision or work it supports, and for whom."
    )
    owner_team = forms.CharField(max_length=120, help_text="The team whose model it is.")
    risk_tier = forms.ChoiceField(
        choices=RegisteredModel.RiskTier.choices,
        initial=RegisteredModel.RiskTier.MEDIUM,
        help_text="It decides which policy a handoff follows. It can be raised later, not lowered.",
    )
    model_type = forms.ChoiceField(
        choices=[("", "not said yet"), *RegisteredModel.ModelType.choices],
        required=False,
        label="Type",
        help_text="What it answers with. Policies may ask more of some types; it is fixed with the first nomination.",
    )


class ModelChangeForm(ModelForm):
    """What may change about a model, as whoever changes it has seen it."""

    seen = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, model: RegisteredModel) -> None:
        shown = {name: getattr(model, name) for name in self.base_fields if name != "seen"}
        super().__init__(data, initial=shown | {"seen": model.revision})
        del self.fields["slug"]


class DraftForm(forms.Form):
    """A whole version in one go; whatever is left out can follow."""

    notes = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What changed since the version before, and why.",
    )
    model = forms.FileField(required=False, label="Model file", help_text="ONNX, or scikit-learn saved by skops.")
    golden = forms.FileField(
        required=False,
        label="Golden records",
        help_text='JSON lines: {"input": {…}, "output": {…}}, the output as your own environment gave it.',
    )
    validation = forms.FileField(
        required=False, label="Validation set", help_text='JSON lines: {"input": {…}, "label": …}.'
    )
    thresholds = forms.FileField(required=False, help_text="JSON: metrics with limits, tolerance, latency, memory.")
    runtime = forms.FileField(required=False, help_text="JSON: the Python and the packages it needs, as ranges.")
    training = forms.FileField(
        required=False, help_text="JSON, if you like: the SHA-256 of the pipeline, and the version that it retrains."
    )
    input_schema = forms.FileField(required=False, label="Input schema", help_text=SCHEMA)
    output_schema = forms.FileField(required=False, label="Output schema", help_text=SCHEMA)


class ElementForm(forms.Form):
    """One element: a file, or for the small ones a text typed here."""

    file = forms.FileField(required=False, label="A file")
    text = forms.CharField(required=False, label="Or its text", widget=forms.Textarea(attrs={"rows": 10}), strip=False)

    def __init__(self, *args: Any, textual: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not textual:
            del self.fields["text"]


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
