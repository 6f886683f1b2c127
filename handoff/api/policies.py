"""Policies over the API: list, read, validate, compare, try, publish; and their JSON Schema."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person
from audit.http import known_parameters, once
from audit.paging import page_of
from handoff.access import require_administrator
from handoff.api.serializers import PolicyDifferenceOut, PolicyIn, PolicyRevisionOut, SimulationOut
from handoff.errors import Hidden
from handoff.models import PolicyRevision
from handoff.queries.checklist_templates import policy_in
from handoff.queries.policies import difference_of, simulated
from handoff.rules.policies import PolicyRules, digest_of
from handoff.rules.policy_schema import schema
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
        content, rules = _understood(request)
        return Response({"policy": rules.key, "digest": digest_of(content)})


class DiffPolicy(APIView):
    """Say what a draft demands otherwise than the newest revision, and what open handoffs would be asked."""

    @extend_schema(request=PolicyIn, responses=PolicyDifferenceOut, operation_id="policy_diff")
    def post(self, request: Request) -> Response:
        account = Person.at(request, "api").user
        require_administrator(account, "compare a policy with open handoffs")
        content, rules = _understood(request)
        return Response(PolicyDifferenceOut(difference_of(content, rules, account)).data)


class SimulatePolicy(APIView):
    """Say which gates that opened would have stayed shut under a draft, and what they would have lacked."""

    @extend_schema(request=PolicyIn, responses=SimulationOut, operation_id="policy_simulate")
    def post(self, request: Request) -> Response:
        account = Person.at(request, "api").user
        require_administrator(account, "try a policy on past handoffs")
        _, rules = _understood(request)
        return Response(SimulationOut(simulated(rules, account)).data)


class PolicySchema(APIView):
    """The JSON Schema of policies."""

    @extend_schema(responses={200: {"type": "object"}}, operation_id="policy_schema")
    def get(self, request: Request) -> Response:
        return Response(schema())


def _understood(request: Request) -> tuple[dict[str, Any], PolicyRules]:
    body = PolicyIn(data=request.data)
    body.is_valid(raise_exception=True)
    return policy_in(body.validated_data["source"])


class OnePolicy(APIView):
    """One published revision."""

    @extend_schema(responses=PolicyRevisionOut, operation_id="policy_read")
    def get(self, request: Request, policy: str, number: int) -> Response:
        found = PolicyRevision.objects.select_related("policy", "published_by")
        revision = found.filter(policy__slug=policy, number=number).first()
        if revision is None:
            raise Hidden("There is no such policy revision.")
        return Response(PolicyRevisionOut(revision).data)
