"""Profiles of environments over the API: report one, list them, read one with what moved."""

from typing import Any

from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, ServiceAccount, actor_at
from audit.http import known_parameters, once
from audit.paging import page_of
from models_registry import queries
from models_registry.api.serializers import PolicyVerdictOut, ProfileChangeOut, ProfileDetailOut, ProfileOut
from models_registry.services import profiles


class Profiles(APIView):
    """What an environment was found to be made of, the newest first."""

    @extend_schema(responses=ProfileOut(many=True), operation_id="profiles_list")
    def get(self, request: Request, environment: str) -> Response:
        known_parameters(request, ())
        found = queries.profiles_listed(actor_at(request, "api"), environment)
        return page_of(request, found, ProfileOut, ordering="-number")

    @extend_schema(
        request=OpenApiTypes.OBJECT,
        responses={201: ProfileDetailOut},
        operation_id="profile_report",
        description="Report what `mdlc capture` prints. The environment is set to it.",
    )
    def post(self, request: Request, environment: str) -> Response:
        def create() -> Response:
            actor = actor_at(request, "api")
            made = profiles.report(actor=actor, environment=environment, content=request.data)
            return Response(_whole(actor, queries.profile(actor, environment, made.number)), status=201)

        return once(request, create)


class OneProfile(APIView):
    """One profile, with what moved since the one before it."""

    @extend_schema(responses=ProfileDetailOut, operation_id="profile_read")
    def get(self, request: Request, environment: str, number: int) -> Response:
        actor = actor_at(request, "api")
        return Response(_whole(actor, queries.profile(actor, environment, number)))


def _whole(actor: Person | ServiceAccount, view: queries.ProfileView) -> dict[str, Any]:
    verdicts = queries.verdicts_on_profile(actor, view.profile)
    return {
        **ProfileOut(view.profile).data,
        "content": view.profile.content,
        "changes": ProfileChangeOut(view.changes, many=True).data,
        "verdicts": PolicyVerdictOut(verdicts, many=True).data,
    }
