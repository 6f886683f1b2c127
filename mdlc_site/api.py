"""The site's own REST doors: tokens, and who one is."""

from typing import Any

from drf_spectacular.utils import extend_schema
from knox.models import AuthToken
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from audit import sign_ins
from audit.actors import actor_at
from audit.errors import Hidden, WrongState
from audit.factors import has_second_factor
from audit.models import Account
from mdlc_site import condition, tokens
from mdlc_site.rendering import StrictJSONParser


class TokenIn(serializers.Serializer[None]):
    """Who signs in."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(
        max_length=20, required=False, default="", allow_blank=True, help_text="The second factor, where one is set up."
    )


class TokenOut(serializers.Serializer[AuthToken]):
    """A token, shown once."""

    token = serializers.CharField(help_text="Send it as Authorization: Bearer <token>.")
    expires_at = serializers.DateTimeField()


class MeOut(serializers.Serializer[Account]):
    """An account, as it is printed beside what it does."""

    id = serializers.IntegerField()
    username = serializers.CharField()
    name = serializers.CharField(source="printed_name")
    title = serializers.CharField()
    kind = serializers.ChoiceField(choices=Account.Kind.choices)
    responsible = serializers.CharField(
        source="responsible.printed_name",
        default=None,
        allow_null=True,
        help_text="The person who answers for a service account.",
    )
    second_factor = serializers.SerializerMethodField()

    def get_second_factor(self, account: Account) -> bool:
        """Tell whether a code is needed beside the password."""
        return has_second_factor(account)


class Tokens(APIView):
    """Sign in: a name, a password, and a code where a second factor is set up, for a token of twelve hours."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (StrictJSONParser,)
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "login"

    @extend_schema(request=TokenIn, responses={201: TokenOut}, operation_id="token_create")
    def post(self, request: Request) -> Response:
        body = TokenIn(data=request.data)
        body.is_valid(raise_exception=True)
        token, text = tokens.sign_in(request, **body.validated_data)
        answer = TokenOut({"token": text, "expires_at": token.expiry}).data
        return Response(answer, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class CurrentToken(APIView):
    """The token that the request was sent with."""

    @extend_schema(responses={204: None}, operation_id="token_revoke")
    def delete(self, request: Request) -> Response:
        if not isinstance(request.auth, AuthToken):
            raise WrongState("You came with a session, not with a token.", todo="Sign out in the browser.")
        sign_ins.revoke_token(actor=actor_at(request, "api"), token=request.auth)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Me(APIView):
    """Whoever asks."""

    @extend_schema(responses=MeOut, operation_id="me")
    def get(self, request: Request) -> Response:
        return Response(MeOut(actor_at(request, "api").user).data)


class PartOut(serializers.Serializer[condition.Part]):
    """One part of the installation."""

    name = serializers.CharField()
    verdict = serializers.ChoiceField(choices=["good", "late", "bad"])
    words = serializers.CharField()
    figures = serializers.DictField()


class HealthOut(serializers.Serializer[dict[str, Any]]):
    """In what condition the installation is."""

    verdict = serializers.ChoiceField(choices=["good", "late", "bad"])
    parts = PartOut(many=True)


class Health(APIView):
    """In what condition the installation is, for its administrators. Every part is asked anew."""

    @extend_schema(responses=HealthOut, operation_id="health_read")
    def get(self, request: Request) -> Response:
        user = actor_at(request, "api").user
        if not (user.is_staff and user.is_person):
            raise Hidden("There is nothing here for you.", todo="Ask an administrator of the site.")
        found = condition.parts()
        return Response(HealthOut({"verdict": condition.worst(found), "parts": found}).data)
