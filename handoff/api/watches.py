"""What engines have counted of a deployment, over the API."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from handoff.models import Watch
from handoff.rules.watches import Counts, read_counts
from handoff.watching import figures_of


class CountsOut(serializers.Serializer[Counts]):
    scored = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Answered with 5xx, breaches of the output schema too.")
    refused = serializers.IntegerField(help_text="Answered with 4xx: what the client sent was wrong.")
    records = serializers.IntegerField()
    failed_percent = serializers.FloatField()
    p99_ms = serializers.FloatField(allow_null=True, help_text="Null of fewer than a hundred scored requests.")


class WatchOut(serializers.Serializer[Watch]):
    began_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField(allow_null=True, help_text="When its engine told last.")
    last_at = serializers.DateTimeField(allow_null=True, help_text="When a look last found requests or records.")
    error = serializers.CharField(help_text="Why the last look saw nothing.")
    total = serializers.SerializerMethodField()
    hour_since = serializers.SerializerMethodField()
    hour = serializers.SerializerMethodField(help_text="The hour before it was last seen.")

    @extend_schema_field(CountsOut)
    def get_total(self, watch: Watch) -> Any:
        """Return what was counted in all."""
        return CountsOut(read_counts(watch.counts())).data

    def get_hour_since(self, watch: Watch) -> datetime:
        """Return since when the last hour is counted."""
        return figures_of(watch).hour_since

    @extend_schema_field(CountsOut)
    def get_hour(self, watch: Watch) -> Any:
        """Return what was counted in the last hour."""
        return CountsOut(figures_of(watch).hour).data
