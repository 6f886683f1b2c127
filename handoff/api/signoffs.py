"""Signing over the API: the sheet, the confirmation of identity, the signature, its withdrawal."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import once
from handoff.api.serializers import (
    ReasonIn,
    ReauthenticationIn,
    ReauthenticationOut,
    SheetOut,
    SignOffIn,
    SignOffOut,
    SignOffProofOut,
)
from handoff.queries.signatures import signoff_of, verdict_of
from handoff.queries.signing import sheet_for
from handoff.queries.statement_proofs import names_behind
from handoff.services import reauthentications, signoffs


class Reauthentications(APIView):
    """Confirm who you are, right before you sign."""

    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "reauthentication"

    @extend_schema(request=ReauthenticationIn, responses={201: ReauthenticationOut}, operation_id="reauthenticate")
    def post(self, request: Request) -> Response:
        body = ReauthenticationIn(data=request.data)
        body.is_valid(raise_exception=True)
        confirmed = reauthentications.confirm(actor=Person.at(request, "api"), **body.validated_data)
        return Response(ReauthenticationOut(confirmed).data, status=201)


class Sheet(APIView):
    """Exactly what a signature would cover now."""

    @extend_schema(responses=SheetOut, operation_id="sheet_read")
    def get(self, request: Request, handoff_id: UUID, requirement: str) -> Response:
        return Response(SheetOut(sheet_for(actor_at(request, "api").user, handoff_id, requirement)).data)


class SignOffs(APIView):
    """Sign or refuse."""

    @extend_schema(request=SignOffIn, responses={201: SignOffOut}, operation_id="sign")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        body = SignOffIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            return Response(
                SignOffOut(signoffs.sign(actor=actor, handoff_id=str(handoff_id), **body.validated_data)).data,
                status=201,
            )

        return once(request, create)


class OneSignOff(APIView):
    """One signature, with the envelope that proves it on its own."""

    @extend_schema(responses=SignOffProofOut, operation_id="signoff_read")
    def get(self, request: Request, handoff_id: UUID, signoff_id: UUID) -> Response:
        signoff: Any = signoff_of(actor_at(request, "api").user, handoff_id, signoff_id)
        signoff.verdict = verdict_of(signoff)
        signoff.names = names_behind(signoff.statement)
        return Response(SignOffProofOut(signoff).data)


class WithdrawSignOff(APIView):
    """Withdraw one's own sign-off while its gate is shut."""

    @extend_schema(request=ReasonIn, responses=SignOffOut, operation_id="signoff_withdraw")
    def post(self, request: Request, handoff_id: UUID, signoff_id: UUID) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)
        done = signoffs.withdraw(
            actor=Person.at(request, "api"),
            handoff_id=str(handoff_id),
            signoff_id=str(signoff_id),
            **body.validated_data,
        )
        return Response(SignOffOut(done).data)


class RevokeSignOff(APIView):
    """Take back one's own approval after its gate has opened: nothing is undone, and a finding is raised."""

    @extend_schema(request=ReasonIn, responses=SignOffOut, operation_id="signoff_revoke")
    def post(self, request: Request, handoff_id: UUID, signoff_id: UUID) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)
        done = signoffs.revoke(
            actor=Person.at(request, "api"),
            handoff_id=str(handoff_id),
            signoff_id=str(signoff_id),
            **body.validated_data,
        )
        return Response(SignOffOut(done).data)
