"""Answers, evidence and acknowledgements over the API."""

from uuid import UUID

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import once
from handoff.api.serializers import AcknowledgeIn, AnswerIn, AnswerOut
from handoff.errors import Invalid
from handoff.queries.handoffs import fetch
from handoff.receipts import take
from handoff.services import checklists

FILE_OUT = inline_serializer(
    "EvidenceFile",
    {"sha256": serializers.CharField(), "size": serializers.IntegerField(), "receipt": serializers.CharField()},
)


class EvidenceFiles(APIView):
    """Upload a file that will back an answer. The receipt that comes back is good for a day, for whoever sent it."""

    parser_classes = (MultiPartParser,)

    @extend_schema(
        request=inline_serializer("EvidenceUpload", {"file": serializers.FileField()}),
        responses={201: FILE_OUT},
        operation_id="evidence_upload",
    )
    def post(self, request: Request, handoff_id: UUID) -> Response:
        actor = actor_at(request, "api")
        fetch(actor.user, handoff_id)
        upload = request.FILES.get("file")
        if upload is None:
            raise Invalid("Send one file under the name 'file'.", fields={"file": "is missing"})
        blob, receipt = take(actor, upload.name or "file", upload.chunks())
        return Response({"sha256": blob.sha256, "size": blob.size, "receipt": receipt}, status=201)


class Answers(APIView):
    """Answer a checklist item."""

    @extend_schema(request=AnswerIn, responses={201: AnswerOut}, operation_id="answer_give")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        body = AnswerIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            given = checklists.answer(actor=actor_at(request, "api"), handoff_id=str(handoff_id), **body.validated_data)
            return Response(AnswerOut(given).data, status=201)

        return once(request, create)


class Acknowledgements(APIView):
    """Acknowledge differences, perhaps with what was done about them."""

    @extend_schema(request=AcknowledgeIn, responses={201: AcknowledgeIn}, operation_id="differences_acknowledge")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        body = AcknowledgeIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            rows = checklists.acknowledge(
                actor=Person.at(request, "api"), handoff_id=str(handoff_id), **body.validated_data
            )
            told = {"comment": rows[0].comment, "mitigation": rows[0].mitigation}
            return Response({"differences": [row.difference for row in rows], **told}, status=201)

        return once(request, create)
