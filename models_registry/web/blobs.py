"""Blobs by signed link: the engine fetches bytes here, and nothing but those bytes."""

from collections.abc import Iterator

from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_safe

from models_registry.errors import Hidden
from models_registry.links import check_token
from models_registry.models import Blob
from models_registry.store import CHUNK, open_blob


@require_safe
def blob(request: HttpRequest, sha256: str) -> StreamingHttpResponse:
    """Stream a blob to whoever holds a link that was made for it."""
    check_token(sha256, request.GET.get("token", ""))
    found = Blob.objects.filter(pk=sha256).first()
    if found is None:
        raise Hidden("There is nothing here, or the link has run out.")
    response = StreamingHttpResponse(_chunks(sha256), content_type="application/octet-stream")
    response["Content-Length"] = str(found.size)
    response["Content-Disposition"] = f'attachment; filename="{sha256}"'
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _chunks(sha256: str) -> Iterator[bytes]:
    with open_blob(sha256) as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
