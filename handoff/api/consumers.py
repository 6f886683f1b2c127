"""The consumers whose owners a handoff asks, as the API tells of them."""

from typing import Any

from rest_framework import serializers

from handoff.models import AskedConsumer
from handoff.queries.consumers import WORDS


class ConsumerChangeOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    kind = serializers.CharField(help_text="widening, narrowing or breaking")
    reason = serializers.CharField()


class AskedConsumerOut(serializers.Serializer[Any]):
    """A consumer that the outputs of the version change for, and whether its owner agrees."""

    id = serializers.UUIDField(source="consumer.pk")
    name = serializers.CharField(source="consumer.name")
    kind = serializers.CharField(source="consumer.kind")
    criticality = serializers.CharField(source="consumer.criticality")
    stream = serializers.CharField(source="consumer.stream.slug")
    owner = serializers.CharField(source="consumer.owner.username")
    owner_name = serializers.CharField(source="consumer.owner.printed_name")
    requirement = serializers.CharField(help_text="The sign-off that the owner gives at the review gate.")
    live = serializers.IntegerField(source="live.number", help_text="The version that feeds it now.")
    fields = serializers.ListField(  # type: ignore[assignment]
        child=serializers.CharField(), help_text="What it uses; none means all."
    )
    compatibility = serializers.ChoiceField(choices=AskedConsumer.Compatibility.choices)
    changes = ConsumerChangeOut(many=True)
    state = serializers.ChoiceField(choices=list(WORDS))
    why = serializers.CharField(help_text="What is in the way.")
