"""Background work over the API: try dead work once more, and cancel what waits or runs."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person
from audit.http import once
from handoff.api.serializers import JobOut, ReasonIn
from handoff.services import jobs


class RetryJob(APIView):
    """Try dead work once more: a test as it is, a deployment after its gate was judged again."""

    @extend_schema(request=None, responses={202: JobOut}, operation_id="job_retry")
    def post(self, request: Request, job_id: UUID) -> Response:
        def create() -> Response:
            job = jobs.retry(actor=Person.at(request, "api"), job_id=str(job_id))
            return Response(JobOut(job).data, status=202)

        return once(request, create)


class CancelJob(APIView):
    """Cancel work for a reason. A worker that has it in hand loses its lease."""

    @extend_schema(request=ReasonIn, responses=JobOut, operation_id="job_cancel")
    def post(self, request: Request, job_id: UUID) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            job = jobs.cancel(actor=Person.at(request, "api"), job_id=str(job_id), **body.validated_data)
            return Response(JobOut(job).data)

        return once(request, create)
