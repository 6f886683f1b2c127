"""What the registry's API takes and gives. Input and output are apart; inputs are plain."""

from typing import Any

import orjson
from rest_framework import serializers

from models_registry.models import Element, Environment, EnvironmentProfile, ModelVersion, Organisation, RegisteredModel
from models_registry.roles import Role


class OrganisationIn(serializers.Serializer[Any]):
    slug = serializers.SlugField(max_length=50)
    name = serializers.CharField(max_length=120)


class OrganisationOut(serializers.ModelSerializer[Organisation]):
    class Meta:
        model = Organisation
        fields = ("slug", "name")


class EnvironmentIn(serializers.Serializer[Any]):
    slug = serializers.SlugField(max_length=50)
    name = serializers.CharField(max_length=120)
    kind = serializers.ChoiceField(choices=Environment.Kind.choices)
    organisation = serializers.SlugField()
    owner = serializers.CharField(max_length=150)
    purpose = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    python = serializers.CharField(max_length=20)
    packages = serializers.DictField(child=serializers.CharField(max_length=50), required=False)
    hardware = serializers.CharField(required=False, allow_blank=True, max_length=200)
    systems = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    requirements = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    import_policy = serializers.DictField(required=False)
    engine = serializers.SlugField(required=False, allow_blank=True)


class EnvironmentChangeIn(serializers.Serializer[Any]):
    name = serializers.CharField(required=False, max_length=120)
    owner = serializers.CharField(required=False, max_length=150)
    purpose = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    python = serializers.CharField(required=False, max_length=20)
    packages = serializers.DictField(child=serializers.CharField(max_length=50), required=False)
    hardware = serializers.CharField(required=False, allow_blank=True, max_length=200)
    systems = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    requirements = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    import_policy = serializers.DictField(required=False)
    engine = serializers.SlugField(required=False, allow_blank=True)


class EnvironmentOut(serializers.ModelSerializer[Environment]):
    organisation = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    owner = serializers.CharField(source="owner.username")

    class Meta:
        model = Environment
        fields = (
            "slug",
            "name",
            "kind",
            "organisation",
            "owner",
            "purpose",
            "python",
            "packages",
            "hardware",
            "systems",
            "requirements",
            "import_policy",
            "engine",
            "revision",
            "created_at",
            "probed_at",
            "probe_error",
        )


class ProfileOut(serializers.ModelSerializer[EnvironmentProfile]):
    environment = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    reported_by = serializers.CharField(
        source="reported_by.username", default="", help_text="A username; empty for a worker's probe."
    )

    class Meta:
        model = EnvironmentProfile
        fields = ("environment", "number", "captured_at", "received_at", "reported_by", "digest")


class ProfileChangeOut(serializers.Serializer[Any]):
    about = serializers.CharField(help_text="interpreter, platform, hardware, packages, files or secrets")
    name = serializers.CharField()
    how = serializers.CharField(help_text="added, removed or changed")
    before = serializers.CharField()
    after = serializers.CharField()


class PolicyVerdictOut(serializers.Serializer[Any]):
    environment = serializers.CharField()
    library = serializers.CharField()
    version = serializers.CharField()
    answer = serializers.CharField(help_text="warn or prohibit")
    reason = serializers.CharField()
    nearest = serializers.CharField(help_text="The nearest version that is allowed, where one is known.")
    let_in_until = serializers.CharField(
        help_text="The last day of an exception that lets this version in, or nothing."
    )
    asked_for = serializers.BooleanField(help_text="Whether an exception is asked for, and not answered yet.")


class AskedVerdictOut(serializers.Serializer[Any]):
    library = serializers.CharField()
    wanted = serializers.CharField(help_text="The range that the version asks for.")
    installed = serializers.CharField(help_text="What is installed there, or nothing.")
    answer = serializers.CharField(help_text="allow, warn or prohibit")
    reason = serializers.CharField()
    nearest = serializers.CharField(help_text="The version that could be used there, where one is known.")
    excepted = serializers.CharField(help_text="The version that an exception lets in, or is asked for; or nothing.")
    let_in_until = serializers.CharField(help_text="The last day on which that version is let in, or nothing.")
    asked_for = serializers.BooleanField(help_text="Whether the exception is asked for, and not answered yet.")


class VersionVerdictsOut(serializers.Serializer[Any]):
    """What the import policy of one production environment says to all that a version asks for, the worst first."""

    environment = serializers.CharField()
    verdicts = AskedVerdictOut(many=True)


class ProfileDetailOut(ProfileOut):
    """A profile with what moved since the one before, and what import policies say to it other than yes."""

    changes = ProfileChangeOut(many=True, help_text="Since the profile before; empty for the first.")
    verdicts = PolicyVerdictOut(many=True)

    class Meta(ProfileOut.Meta):
        fields = (*ProfileOut.Meta.fields, "content", "changes", "verdicts")  # type: ignore[assignment]


class ModelIn(serializers.Serializer[Any]):
    slug = serializers.SlugField(max_length=50)
    name = serializers.CharField(max_length=120)
    purpose = serializers.CharField(max_length=5000)
    owner_team = serializers.CharField(max_length=120)
    risk_tier = serializers.ChoiceField(choices=RegisteredModel.RiskTier.choices, required=False)
    model_type = serializers.ChoiceField(
        choices=RegisteredModel.ModelType.choices, required=False, help_text="What it answers with."
    )


class ModelChangeIn(serializers.Serializer[Any]):
    name = serializers.CharField(required=False, max_length=120)
    purpose = serializers.CharField(required=False, max_length=5000)
    owner_team = serializers.CharField(required=False, max_length=120)
    risk_tier = serializers.ChoiceField(choices=RegisteredModel.RiskTier.choices, required=False)
    model_type = serializers.ChoiceField(
        choices=RegisteredModel.ModelType.choices, required=False, help_text="What it answers with."
    )


class ModelOut(serializers.ModelSerializer[RegisteredModel]):
    created_by = serializers.CharField(source="created_by.username")

    class Meta:
        model = RegisteredModel
        fields = (
            "slug",
            "name",
            "purpose",
            "owner_team",
            "risk_tier",
            "model_type",
            "created_by",
            "created_at",
            "revision",
        )


class HoldingEndIn(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)
    holder = serializers.CharField(max_length=160, help_text="A username, or group:<name>.")
    ends = serializers.DateField(required=False, help_text="The last day; without it, it ends at once.")


class HoldingIn(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)
    holder = serializers.CharField(max_length=160, help_text="A username, or group:<name>.")
    starts = serializers.DateField(required=False, help_text="The first day; without it, now.")
    ends = serializers.DateField(required=False, help_text="The last day; without it, until further notice.")


class HoldingOut(serializers.Serializer[Any]):
    role = serializers.CharField()
    title = serializers.CharField()
    holder = serializers.CharField()
    name = serializers.CharField()
    starts = serializers.DateField()
    ends = serializers.DateField(allow_null=True)
    state = serializers.ChoiceField(choices=["now", "planned", "ended"])
    by = serializers.CharField(help_text="The organisation through which it is held, if it is.")


class ElementOut(serializers.ModelSerializer[Element]):
    sha256 = serializers.CharField(source="blob_id")
    size = serializers.IntegerField(source="blob.size")
    set_by = serializers.CharField(source="set_by.username")
    content = serializers.SerializerMethodField(help_text="The content of a small element; null for files.")

    class Meta:
        model = Element
        fields = ("name", "sha256", "size", "filename", "set_by", "set_at", "content")

    def get_content(self, element: Element) -> Any:
        """Return a small element as JSON."""
        return None if element.text is None else orjson.loads(element.text)


class ElementSetOut(ElementOut):
    """An element that was just set, with what its maker should know."""

    notes = serializers.SerializerMethodField(help_text="What a schema says differently here than where it came from.")

    class Meta(ElementOut.Meta):
        fields = (*ElementOut.Meta.fields, "notes")  # type: ignore[assignment]

    def get_notes(self, element: Element) -> list[str]:
        """Return what the service told."""
        return list(self.context["notes"])


class VersionIn(serializers.Serializer[Any]):
    """Notes, and, in one multipart request, any elements as files under their names."""

    notes = serializers.CharField(required=False, allow_blank=True, max_length=10000, default="")
    format = serializers.ChoiceField(choices=ModelVersion.Format.choices, required=False, default="")
    model = serializers.FileField(required=False)
    input_schema = serializers.FileField(required=False)
    output_schema = serializers.FileField(required=False)
    runtime = serializers.FileField(required=False)
    golden = serializers.FileField(required=False)
    validation = serializers.FileField(required=False)
    thresholds = serializers.FileField(required=False)
    training = serializers.FileField(required=False)


class VersionOut(serializers.ModelSerializer[ModelVersion]):
    model = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    created_by = serializers.CharField(source="created_by.username")
    nominated_by = serializers.CharField(source="nominated_by.username", default=None, allow_null=True)

    class Meta:
        model = ModelVersion
        fields = (
            "model",
            "number",
            "state",
            "format",
            "notes",
            "digest",
            "created_by",
            "created_at",
            "nominated_by",
            "nominated_at",
            "revision",
        )


class VersionDetailOut(VersionOut):
    """A version with its elements."""

    elements = ElementOut(many=True)

    class Meta(VersionOut.Meta):
        fields = (*VersionOut.Meta.fields, "elements")  # type: ignore[assignment]


class VersionFilledOut(VersionDetailOut):
    """A version whose schemas were just read or inferred, with what a person should look at."""

    schema_notes = serializers.SerializerMethodField(help_text="What to correct, and what is said differently here.")

    class Meta(VersionDetailOut.Meta):
        fields = (*VersionDetailOut.Meta.fields, "schema_notes")  # type: ignore[assignment]

    def get_schema_notes(self, version: ModelVersion) -> list[str]:
        """Return what the service told."""
        return list(self.context["notes"])
