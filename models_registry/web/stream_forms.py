"""The forms of streams and their consumers. They hold what was typed; the rules are in the services."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from models_registry import queries
from models_registry.models import Consumer, Stream
from models_registry.rules.streams import in_order
from models_registry.rules.strict_yaml import plain_from, text_of

EXAMPLE = """\
transport: valkey
encoding: json
location:
  url: redis://broker.example:6379/0
  stream: patients
  group: mdlc
"""


def owners() -> list[tuple[str, str]]:
    """Return who may answer for something, by printed names."""
    return [("", "—"), *((one.username, f"{one.printed_name} ({one.username})") for one in queries.people())]


class YamlField(forms.CharField):
    """A text in YAML. What stands in the box stays as it was typed."""

    widget = forms.Textarea(attrs={"rows": 14, "spellcheck": "false", "autocapitalize": "off", "class": "m-code"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Return the text."""
        return value if isinstance(value, str) else text_of(value)

    def to_python(self, value: Any) -> Any:
        """Return what the text holds."""
        text = super().to_python(value)
        if not text:
            return text
        try:
            return plain_from(text)
        except ValueError as error:
            raise ValidationError(f"This cannot be read: {error}") from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Tell whether the text holds something else; its form alone does not count."""
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True

    def run_validators(self, value: Any) -> None:
        """Leave the content to the service; a null character was refused by YAML."""


class StreamForm(forms.Form):
    """Declare a stream."""

    slug = forms.SlugField(label="Short name", max_length=50, help_text="In bindings; it never changes.")
    direction = forms.ChoiceField(
        choices=[("source", "source: records come in"), ("sink", "sink: outputs go out")],
        help_text="It never changes.",
    )
    purpose = forms.CharField(
        required=False, max_length=5000, widget=forms.Textarea(attrs={"rows": 2}), help_text="What it carries."
    )
    owner = forms.ChoiceField(choices=owners, help_text="The person who answers for it.")
    descriptor = YamlField(
        initial=EXAMPLE, help_text="YAML or JSON. A secret stands here by its name only: secret: BROKER_PASSWORD."
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, stream: Stream | None = None, **kwargs: Any) -> None:
        if stream is not None:
            kwargs["initial"] = {
                "purpose": stream.purpose,
                "owner": stream.owner.username,
                "descriptor": in_order(stream.descriptor),
                "seen": stream.revision,
            }
        super().__init__(*args, **kwargs)
        if stream is not None:
            del self.fields["slug"], self.fields["direction"]


class ConsumerForm(forms.Form):
    """Add a consumer to a sink, or change what is known of one."""

    name = forms.CharField(max_length=120, help_text="As people call it.")
    kind = forms.ChoiceField(choices=Consumer.Kind.choices)
    owner = forms.ChoiceField(choices=owners, help_text="The person who answers for it.")
    purpose = forms.CharField(
        max_length=5000, widget=forms.Textarea(attrs={"rows": 2}), help_text="What it does with the scores."
    )
    fields: Any = forms.CharField(
        required=False,
        max_length=5000,
        label="Fields it uses",
        help_text="Names, separated by commas; left empty, all of them.",
    )
    criticality = forms.ChoiceField(choices=Consumer.Criticality.choices, initial=Consumer.Criticality.MEDIUM)
    effect = forms.CharField(
        max_length=5000,
        label="Effect on the business",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What happens when its scores are wrong, late, or missing.",
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, consumer: Consumer | None = None, **kwargs: Any) -> None:
        if consumer is not None:
            kwargs["initial"] = {
                name: getattr(consumer, name) for name in ("name", "kind", "purpose", "criticality", "effect")
            }
            kwargs["initial"] |= {
                "owner": consumer.owner.username,
                "fields": ", ".join(consumer.fields),
                "seen": consumer.revision,
            }
        super().__init__(*args, **kwargs)

    def clean_fields(self) -> list[str]:
        """Return the names."""
        return [name.strip() for name in self.cleaned_data["fields"].split(",") if name.strip()]
