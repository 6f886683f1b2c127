"""Policies over the API: list, read, validate, publish."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person
from audit.http import known_parameters, once
from audit.paging import page_of
from handoff.api.serializers import PolicyIn, PolicyRevisionOut
from handoff.errors import Hidden
from handoff.models import PolicyRevision
from handoff.rules.policies import digest_of, load, parse
from handoff.services import policies


class Policies(APIView):
    """The published revisions; everybody who is signed in may read the rules they work under."""

    @extend_schema(responses=PolicyRevisionOut(many=True), operation_id="policies_list")
    def get(self, request: Request) -> Response:
        filters = known_parameters(request, ("policy",))
        found = PolicyRevision.objects.select_related("policy", "published_by")
        if "policy" in filters:
            found = found.filter(policy__slug=filters["policy"])
        return page_of(request, found, PolicyRevisionOut, ordering="-published_at")

    @extend_schema(request=PolicyIn, responses={201: PolicyRevisionOut}, operation_id="policy_publish")
    def post(self, request: Request) -> Response:
        body = PolicyIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            revision = policies.publish(actor=Person.at(request, "api"), **body.validated_data)
            return Response(PolicyRevisionOut(revision).data, status=201)

        return once(request, create)


class ValidatePolicy(APIView):
    """Say what is wrong with a policy's text, and change nothing."""

    @extend_schema(request=PolicyIn, responses={200: {"type": "object"}}, operation_id="policy_validate")
    def post(self, request: Request) -> Response:
        body = PolicyIn(data=request.data)
        body.is_valid(raise_exception=True)
        content = load(body.validated_data["source"])
        return Response({"policy": parse(content).key, "digest": digest_of(content)})


class OnePolicy(APIView):
    """One published revision."""

    @extend_schema(responses=PolicyRevisionOut, operation_id="policy_read")
    def get(self, request: Request, policy: str, number: int) -> Response:
        found = PolicyRevision.objects.select_related("policy", "published_by")
        revision = found.filter(policy__slug=policy, number=number).first()
        if revision is None:
            raise Hidden("There is no such policy revision.")
        return Response(PolicyRevisionOut(revision).data)
