"""The site's public keys over the API, for whoever proves a signature."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.http import known_parameters
from audit.models import SigningKey
from audit.paging import page_of


class KeyOut(serializers.Serializer[SigningKey]):
    """One Ed25519 key. Its name is the SHA-256 of its raw bytes."""

    id = serializers.CharField()
    algorithm = serializers.SerializerMethodField()
    public_key = serializers.SerializerMethodField(help_text="The 32 raw bytes, in hexadecimal.")
    registered_at = serializers.DateTimeField()
    retired_at = serializers.DateTimeField(allow_null=True)
    retired_because = serializers.CharField()
    compromised_since = serializers.DateTimeField(
        allow_null=True, help_text="What it signed from then on proves nothing."
    )
    compromised_because = serializers.CharField()

    def get_algorithm(self, key: SigningKey) -> str:
        """Return what kind of key it is."""
        return "ed25519"

    def get_public_key(self, key: SigningKey) -> str:
        """Return the raw bytes in hexadecimal."""
        return bytes(key.public_key).hex()


class Keys(APIView):
    """The keys that this site has signed with, the newest first, retired ones too. Everybody may know them."""

    @extend_schema(responses=KeyOut(many=True), operation_id="keys_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        return page_of(request, SigningKey.objects.all(), KeyOut, ordering="-registered_at")
