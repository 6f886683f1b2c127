"""Personal keys over the API: one's own keys, and the questions that a browser puts to them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from audit import personal_keys
from audit.actors import Person, actor_at
from audit.http import known_parameters, once, origin_of
from audit.models import PersonalKey
from audit.paging import page_of
from audit.personal_keys import Question
from handoff.api.serializers import ReasonIn, ReauthenticationOut
from handoff.queries import signing_by_key
from handoff.services import reauthentications

BYTES: dict[str, Any] = {"max_length": 4096, "help_text": "base64url without padding"}


class PersonalKeyOut(serializers.ModelSerializer[PersonalKey]):
    public_key = serializers.SerializerMethodField(help_text="SubjectPublicKeyInfo as DER, in hexadecimal.")

    class Meta:
        model = PersonalKey
        fields = ("id", "name", "site", "public_key", "registered_at", "retired_at", "retired_because")

    def get_public_key(self, key: PersonalKey) -> str:
        """Return the public half in hexadecimal."""
        return bytes(key.public_key).hex()


class PersonalKeyIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=60)
    token = serializers.CharField(max_length=4096, help_text="What came with the question.")
    client_data = serializers.CharField(**BYTES)
    attestation = serializers.CharField(max_length=65536, help_text="base64url without padding")
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(required=False, allow_blank=True, max_length=20, default="")


class QuestionOut(serializers.Serializer[Any]):
    """What a browser puts to a key: `options` for navigator.credentials, bytes as base64url."""

    options = serializers.DictField()
    token = serializers.CharField(help_text="Send it back with the answer, within five minutes.")


class KeyAnswerIn(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=262144)
    credential = serializers.CharField(**BYTES)
    authenticator_data = serializers.CharField(**BYTES)
    client_data = serializers.CharField(**BYTES)
    signature = serializers.CharField(**BYTES)


class AmendmentQuestionIn(serializers.Serializer[Any]):
    requirement = serializers.SlugField()
    decision = serializers.CharField()
    meaning = serializers.CharField()
    seen = serializers.CharField(max_length=64)
    comment = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")


class QuestionIn(serializers.Serializer[Any]):
    decision = serializers.CharField()
    meaning = serializers.CharField()
    seen = serializers.CharField(max_length=64)
    comment = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")
    conditions = serializers.ListField(child=serializers.DictField(), required=False, max_length=20, default=list)


class PersonalKeys(APIView):
    """One's own keys, the newest first, retired ones too."""

    @extend_schema(responses=PersonalKeyOut(many=True), operation_id="personal_keys_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        mine = PersonalKey.objects.filter(account=actor_at(request, "api").user)
        return page_of(request, mine, PersonalKeyOut, ordering="-registered_at")

    @extend_schema(request=PersonalKeyIn, responses={201: PersonalKeyOut}, operation_id="personal_key_register")
    def post(self, request: Request) -> Response:
        body = PersonalKeyIn(data=request.data)
        body.is_valid(raise_exception=True)
        told, actor = body.validated_data, Person.at(request, "api")
        reauthentications.confirm(actor=actor, password=told["password"], code=told["code"])
        key = personal_keys.register(
            actor=actor, name=told["name"], origin=origin_of(request), token=told["token"], answer=told
        )
        return Response(PersonalKeyOut(key).data, status=201)


class NewKeyQuestion(APIView):
    """What a browser asks an authenticator for a new key."""

    @extend_schema(request=None, responses=QuestionOut, operation_id="personal_key_ask")
    def post(self, request: Request) -> Response:
        actor = Person.at(request, "api")
        return Response(QuestionOut(personal_keys.ask_for_new(actor.user, origin_of(request))).data)


class RetirePersonalKey(APIView):
    """Let a key confirm nothing any more; what it signed stays provable."""

    @extend_schema(request=ReasonIn, responses=PersonalKeyOut, operation_id="personal_key_retire")
    def post(self, request: Request, key_id: str) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            retired = personal_keys.retire(actor=actor, key_id=key_id, **body.validated_data)
            return Response(PersonalKeyOut(retired).data)

        return once(request, create)


class ConfirmByKey(APIView):
    """Confirm who you are by a key that has signed what it was asked about; it is good for just that signature."""

    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "reauthentication"

    @extend_schema(request=KeyAnswerIn, responses={201: ReauthenticationOut}, operation_id="reauthenticate_by_key")
    def post(self, request: Request) -> Response:
        body = KeyAnswerIn(data=request.data)
        body.is_valid(raise_exception=True)
        answer = dict(body.validated_data)
        confirmed = reauthentications.confirm_by_key(
            actor=Person.at(request, "api"), origin=origin_of(request), token=answer.pop("token"), answer=answer
        )
        return Response(ReauthenticationOut(confirmed).data, status=201)


def _asked(request: Request, body: serializers.Serializer[Any], ask: Callable[..., Question], *about: Any) -> Response:
    body.is_valid(raise_exception=True)
    question = ask(Person.at(request, "api"), *about, origin=origin_of(request), **body.validated_data)
    return Response(QuestionOut(question).data)


class SheetQuestion(APIView):
    """What to ask one's keys before a sign-off; send the same decision, meaning, comment and conditions with it."""

    @extend_schema(request=QuestionIn, responses=QuestionOut, operation_id="sheet_ask_key")
    def post(self, request: Request, handoff_id: UUID, requirement: str) -> Response:
        return _asked(request, QuestionIn(data=request.data), signing_by_key.ask, handoff_id, requirement)


class AmendmentQuestion(APIView):
    """What to ask one's keys before the signature of an amendment."""

    @extend_schema(request=AmendmentQuestionIn, responses=QuestionOut, operation_id="amendment_ask_key")
    def post(self, request: Request, amendment_id: UUID) -> Response:
        body = AmendmentQuestionIn(data=request.data)
        return _asked(request, body, signing_by_key.ask_about_amendment, amendment_id)
