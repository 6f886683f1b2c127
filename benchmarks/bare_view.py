"""The peer's only view, and its address."""

import json
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.urls import path
from django.utils import timezone
from knox.auth import TokenAuthentication
from rest_framework import serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import signing
from audit.models import AuditEvent
from handoff.models import Handoff, Reauthentication, SignOff
from models_registry.models import EnvironmentUserGrant, RegisteredModelUserGrant


class SignOffIn(serializers.Serializer[Any]):
    """What is sent."""

    requirement = serializers.SlugField()
    decision = serializers.ChoiceField(choices=SignOff.Decision.choices)
    meaning = serializers.CharField(max_length=40)
    comment = serializers.CharField(required=False, allow_blank=True, default="")
    seen = serializers.CharField(max_length=64)
    reauthentication = serializers.UUIDField()


class SignOffOut(serializers.ModelSerializer[SignOff]):
    """What is answered."""

    class Meta:
        model = SignOff
        fields = "__all__"


class HoldsRole(BasePermission):
    """Let those pass who hold a role on the handoff's model or target: one query."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Look for the grant."""
        handoff, user = view.kwargs["handoff_id"], request.user
        if request.data.get("requirement") == "validation":
            grants = RegisteredModelUserGrant.objects.filter(content_object__handoffs=handoff)
            return grants.filter(user=user, permission__codename="hold_validator").exists()
        held = EnvironmentUserGrant.objects.filter(content_object__handoffs_to=handoff)
        return held.filter(user=user, permission__codename="hold_it_operations").exists()


class SignOffs(APIView):
    """Sign."""

    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated, HoldsRole)

    def post(self, request: Request, handoff_id: UUID) -> Response:
        """Write the signature by four statements."""
        body = SignOffIn(data=request.data)
        body.is_valid(raise_exception=True)
        signoff = _sign(request.user, handoff_id, **body.validated_data)
        return Response(SignOffOut(signoff).data, status=201)


@cache
def _key() -> str:
    """Return the name of a key on record, which the table asks for."""
    return signing.sign("text/plain", b"")[1].pk


@transaction.atomic
def _sign(user: Any, handoff_id: UUID, *, reauthentication: UUID, seen: str, **told: Any) -> SignOff:
    handoff = Handoff.objects.select_for_update().get(pk=handoff_id)
    used = Reauthentication.objects.filter(pk=reauthentication, person=user, used_at=None).update(used_at=Now())
    if not used:
        raise serializers.ValidationError("Confirm who you are.")
    statement = json.dumps({"handoff": str(handoff_id), "signer": user.username, "seen": seen, **told})
    signoff = SignOff.objects.create(
        handoff=handoff,
        gate="review",
        role="validator" if told["requirement"] == "validation" else "it_operations",
        signer=user,
        printed_name=user.printed_name,
        scope={"seen": seen},
        scope_digest=seen,
        statement=statement,
        statement_digest=sha256(statement.encode()).hexdigest(),
        key_id=_key(),
        signature="0",
        reauthentication_id=reauthentication,
        signed_at=timezone.now(),
        **told,
    )
    AuditEvent.objects.create(
        chain=f"handoff:{handoff_id}",
        at=timezone.now(),
        action="signoff.given",
        actor_kind="person",
        actor=user,
        actor_label=user.mark,
        subject=f"signoff:{signoff.pk}",
        body=statement,
        previous=b"",
        hash=b"",
    )
    return signoff


urlpatterns = [path("api/v1/handoffs/<uuid:handoff_id>/signoffs/", SignOffs.as_view())]
