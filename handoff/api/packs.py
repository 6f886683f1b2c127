"""Evidence packs over the API."""

from uuid import UUID

from django.http import FileResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from audit.actors import actor_at
from handoff.services import packs


class EvidencePack(APIView):
    """Make the evidence pack of an offered handoff: one signed archive that proves itself without the site."""

    @extend_schema(
        request=None, responses={(200, "application/zip"): OpenApiTypes.BINARY}, operation_id="handoff_evidence_pack"
    )
    def post(self, request: Request, handoff_id: UUID) -> HttpResponseBase:
        made = packs.make(actor=actor_at(request, "api"), handoff_id=str(handoff_id))
        return FileResponse(made.archive, as_attachment=True, filename=made.filename, content_type="application/zip")
