"""What the API takes and gives of streams and their consumers."""

from typing import Any

from rest_framework import serializers

from models_registry.api.schemas import ChangeOut
from models_registry.models import Consumer, Stream


class RetireIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class StreamIn(serializers.Serializer[Any]):
    slug = serializers.SlugField(max_length=50)
    direction = serializers.ChoiceField(choices=Stream.Direction.choices)
    purpose = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    descriptor = serializers.DictField(help_text="Transport, encoding, location and so on; docs/streams.md tells all.")
    owner = serializers.CharField(max_length=150)


class StreamChangeIn(serializers.Serializer[Any]):
    purpose = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    descriptor = serializers.DictField(required=False)
    owner = serializers.CharField(required=False, max_length=150)


class StreamOut(serializers.ModelSerializer[Stream]):
    environment = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    owner = serializers.CharField(source="owner.username")
    descriptor = serializers.DictField()

    class Meta:
        model = Stream
        fields = (
            "environment",
            "slug",
            "direction",
            "purpose",
            "descriptor",
            "digest",
            "owner",
            "revision",
            "created_at",
            "retired_at",
            "failing_since",
            "fault_code",
            "fault",
        )


class MisfitOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    field = serializers.CharField()
    reason = serializers.CharField()


class FitOut(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="inherited, identical, narrowing, widening or breaking")
    changes = ChangeOut(many=True)
    misfits = MisfitOut(many=True, help_text="What speaks against running them; none where it may run.")


class ConsumerIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    kind = serializers.ChoiceField(choices=Consumer.Kind.choices)
    owner = serializers.CharField(max_length=150)
    purpose = serializers.CharField(max_length=5000)
    fields = serializers.ListField(child=serializers.CharField(max_length=200), max_length=500, required=False)  # type: ignore[assignment]
    criticality = serializers.ChoiceField(choices=Consumer.Criticality.choices)
    effect = serializers.CharField(max_length=5000)


class ConsumerChangeIn(serializers.Serializer[Any]):
    name = serializers.CharField(required=False, max_length=120)
    kind = serializers.ChoiceField(required=False, choices=Consumer.Kind.choices)
    owner = serializers.CharField(required=False, max_length=150)
    purpose = serializers.CharField(required=False, max_length=5000)
    fields = serializers.ListField(child=serializers.CharField(max_length=200), max_length=500, required=False)  # type: ignore[assignment]
    criticality = serializers.ChoiceField(required=False, choices=Consumer.Criticality.choices)
    effect = serializers.CharField(required=False, max_length=5000)


class ConsumerOut(serializers.ModelSerializer[Consumer]):
    stream = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    owner = serializers.CharField(source="owner.username")
    fields = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]

    class Meta:
        model = Consumer
        fields = (
            "id",
            "stream",
            "name",
            "kind",
            "owner",
            "purpose",
            "fields",
            "criticality",
            "effect",
            "revision",
            "created_at",
            "retired_at",
        )
