"""The tree over the trail: signed heads, and proofs, for those who audit."""

from base64 import b64encode
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import proofs, queries
from audit.actors import actor_at
from audit.errors import Invalid
from audit.http import known_parameters
from audit.models import HeadAnchor, TreeHead
from audit.paging import page_of


class HeadAnchorOut(serializers.Serializer[HeadAnchor]):
    """Where a head is known outside. `stamp` is an authority's answer (RFC 3161, DER) in base64, over the envelope."""

    kind = serializers.ChoiceField(HeadAnchor.Kind.choices)
    place = serializers.CharField()
    at = serializers.DateTimeField()
    stamped_at = serializers.DateTimeField(allow_null=True)
    stamp = serializers.SerializerMethodField()

    def get_stamp(self, anchor: HeadAnchor) -> str:
        """Return the stamp in base64; nothing for a webhook."""
        return b64encode(bytes(anchor.stamp)).decode()


class HeadOut(serializers.Serializer[TreeHead]):
    """One signed head. `envelope` (DSSE) holds size, root and time as they were signed by the key."""

    size = serializers.IntegerField()
    root = serializers.SerializerMethodField()  # type: ignore[assignment]
    at = serializers.DateTimeField()
    key = serializers.CharField(source="key_id")
    envelope = serializers.CharField()

    def get_root(self, head: TreeHead) -> str:
        """Return the root in hexadecimal."""
        return bytes(head.root).hex()


class ListedHeadOut(HeadOut):
    """A signed head, and where it is known outside."""

    anchors = HeadAnchorOut(many=True)


class PathOut(serializers.Serializer[Any]):
    """A proof: hashes in the order in which RFC 9162 takes them."""

    head = HeadOut()
    path = serializers.SerializerMethodField()

    def get_path(self, proof: proofs.Inclusion | proofs.Consistency) -> list[str]:
        """Return the hashes in hexadecimal."""
        return [one.hex() for one in proof.path]


class InclusionOut(PathOut):
    """What proves that an event is in the tree: the leaf's hash is SHA-256(0x00, event's hash)."""

    chain = serializers.CharField(source="leaf.chain")
    seq = serializers.IntegerField(source="leaf.seq")
    leaf = serializers.IntegerField(source="leaf.place")
    hash = serializers.SerializerMethodField()

    def get_hash(self, proof: proofs.Inclusion) -> str:
        """Return the event's hash, as it was sealed."""
        return bytes(proof.leaf.hash).hex()


class ConsistencyOut(PathOut):
    """What proves that the older tree is the beginning of the newer one."""

    old = HeadOut()


def whole_number(given: dict[str, str], name: str) -> int | None:
    """Return a parameter as a number; None where it is not given. Raises Invalid."""
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Invalid(f"{name} must be a whole number.", fields={name: "is no whole number"})
    return int(text)


SIZE = OpenApiParameter("size", int, description="Under the head of this size; without it, under the newest.")


class Heads(APIView):
    """The signed heads, the newest first, for whoever audits anything."""

    @extend_schema(responses=ListedHeadOut(many=True), operation_id="audit_heads_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        found = queries.heads(actor_at(request, "api").user).prefetch_related("anchors")
        return page_of(request, found, ListedHeadOut, ordering="-size")


class Inclusion(APIView):
    """The proof that an event which the asker may read is in the tree."""

    @extend_schema(
        responses=InclusionOut,
        parameters=[
            OpenApiParameter("chain", str, required=True, description="The event's chain, such as handoff:<id>."),
            OpenApiParameter("seq", int, required=True, description="The event's number in its chain."),
            SIZE,
        ],
        operation_id="audit_proofs_inclusion",
    )
    def get(self, request: Request) -> Response:
        given = known_parameters(request, ("chain", "seq", "size"))
        seq, size = whole_number(given, "seq"), whole_number(given, "size")
        event = queries.event(actor_at(request, "api").user, given.get("chain", ""), seq or 0)
        return Response(InclusionOut(proofs.inclusion(event, size)).data)


class Consistency(APIView):
    """The proof that the tree under one head is the beginning of the tree under a later one."""

    @extend_schema(
        responses=ConsistencyOut,
        parameters=[OpenApiParameter("old", int, required=True, description="The size of the older head."), SIZE],
        operation_id="audit_proofs_consistency",
    )
    def get(self, request: Request) -> Response:
        given = known_parameters(request, ("old", "size"))
        queries.require_auditor(actor_at(request, "api").user)
        old, size = whole_number(given, "old"), whole_number(given, "size")
        if old is None:
            raise Invalid("Name the older head by its size.", fields={"old": "is missing"})
        return Response(ConsistencyOut(proofs.consistency(old, size)).data)
