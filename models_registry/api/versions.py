"""Versions over the API: draft, fill, infer schemas, nominate, read the manifest."""

from collections.abc import Iterator
from typing import Any

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import etag, known_parameters, once, require_match
from audit.paging import page_of
from models_registry import queries
from models_registry.api.serializers import (
    ElementOut,
    ElementSetOut,
    VersionDetailOut,
    VersionFilledOut,
    VersionIn,
    VersionOut,
    VersionVerdictsOut,
)
from models_registry.errors import Hidden, Invalid
from models_registry.models import ModelVersion
from models_registry.services import versions
from models_registry.states import ELEMENTS


class Versions(APIView):
    """The versions of a model."""

    @extend_schema(responses=VersionOut(many=True), operation_id="versions_list")
    def get(self, request: Request, model: str) -> Response:
        known_parameters(request, ())
        return page_of(
            request, queries.versions_listed(actor_at(request, "api"), model), VersionOut, ordering="-number"
        )

    @extend_schema(
        request={"multipart/form-data": VersionIn, "application/json": VersionIn},
        responses={201: VersionFilledOut},
        operation_id="version_draft",
        description="Start a draft. Sent as multipart, it may carry any elements as files under their names; "
        "a file that is refused leaves no draft behind.",
    )
    def post(self, request: Request, model: str) -> Response:
        body = VersionIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = actor_at(request, "api")
            files = {name: request.FILES[name] for name in ELEMENTS if name in request.FILES}
            made, notes = versions.draft_with(
                actor=actor,
                model=model,
                notes=body.validated_data["notes"],
                format=body.validated_data["format"],
                files={name: (upload.chunks(), upload.name or "") for name, upload in files.items()},
            )
            return _filled(queries.version(actor, model, made.number), notes, 201)

        return once(request, create)


class OneVersion(APIView):
    """One version with its elements."""

    @extend_schema(responses=VersionDetailOut, operation_id="version_read")
    def get(self, request: Request, model: str, number: int) -> Response:
        return _whole(queries.version(actor_at(request, "api"), model, number))


class OneElement(APIView):
    """One element of a version."""

    @extend_schema(responses=ElementOut, operation_id="element_read")
    def get(self, request: Request, model: str, number: int, element: str) -> Response:
        version = queries.version(actor_at(request, "api"), model, number)
        for one in version.elements.all():
            if one.name == element:
                return Response(ElementOut(one).data)
        raise Hidden(f"The version has no element {element}.")

    @extend_schema(
        request={
            "multipart/form-data": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}},
            "application/json": OpenApiTypes.OBJECT,
        },
        responses=ElementSetOut,
        parameters=[OpenApiParameter("format_declared", str, description="What a model file is said to be.")],
        operation_id="element_set",
    )
    def put(self, request: Request, model: str, number: int, element: str) -> Response:
        actor = actor_at(request, "api")
        seen = queries.version(actor, model, number).revision
        require_match(request, seen)
        chunks, filename = _content(request)
        made, notes = versions.set_element(
            actor=actor,
            model=model,
            number=number,
            name=element,
            chunks=chunks,
            filename=filename,
            format=known_parameters(request, ("format_declared",)).get("format_declared", ""),
            revision=seen,
        )
        told = ElementSetOut(made, context={"notes": notes}).data
        return Response(told, headers={"ETag": etag(made.version.revision)})

    @extend_schema(responses={204: None}, operation_id="element_remove")
    def delete(self, request: Request, model: str, number: int, element: str) -> Response:
        actor = actor_at(request, "api")
        seen = queries.version(actor, model, number).revision
        require_match(request, seen)
        versions.remove_element(actor=actor, model=model, number=number, name=element, revision=seen)
        return Response(status=204)


class Verdicts(APIView):
    """What production environments say to the packages that a version asks for."""

    @extend_schema(
        responses=VersionVerdictsOut(many=True),
        operation_id="version_verdicts",
        description="Each production environment that you may see, by its import policy and what is installed there. "
        "A draft is answered as soon as it has its runtime.",
    )
    def get(self, request: Request, model: str, number: int) -> Response:
        known_parameters(request, ())
        actor = actor_at(request, "api")
        found = queries.verdicts_on_version(actor, queries.version(actor, model, number))
        rows = [{"environment": place.slug, "verdicts": verdicts} for place, verdicts in found]
        return Response(VersionVerdictsOut(rows, many=True).data)


class InferSchemas(APIView):
    """Set the schemas that are missing to what golden records or the model show, for somebody to correct."""

    @extend_schema(request=None, responses=VersionFilledOut, operation_id="version_infer_schemas")
    def post(self, request: Request, model: str, number: int) -> Response:
        actor = actor_at(request, "api")
        _, notes = versions.infer_schemas(actor=actor, model=model, number=number)
        return _filled(queries.version(actor, model, number), notes)


class Nominate(APIView):
    """Seal a draft."""

    @extend_schema(request=None, responses=VersionDetailOut, operation_id="version_nominate")
    def post(self, request: Request, model: str, number: int) -> Response:
        def create() -> Response:
            actor = actor_at(request, "api")
            versions.nominate(actor=actor, model=model, number=number)
            return _whole(queries.version(actor, model, number))

        return once(request, create)


class Discard(APIView):
    """Give a draft up."""

    @extend_schema(request=None, responses=VersionOut, operation_id="version_discard")
    def post(self, request: Request, model: str, number: int) -> Response:
        return Response(VersionOut(versions.discard(actor=actor_at(request, "api"), model=model, number=number)).data)


class ManifestText(APIView):
    """The canonical bytes whose SHA-256 is the version's digest."""

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.OBJECT}, operation_id="version_manifest")
    def get(self, request: Request, model: str, number: int) -> HttpResponse:
        version = queries.version(actor_at(request, "api"), model, number)
        if not version.manifest:
            raise Hidden("A draft has no manifest.", todo="Nominate the version; that writes it.")
        return HttpResponse(version.manifest, content_type="application/json", headers={"ETag": f'"{version.digest}"'})


def _whole(version: ModelVersion, status: int = 200) -> Response:
    return Response(VersionDetailOut(version).data, status=status, headers={"ETag": etag(version.revision)})


def _filled(version: ModelVersion, notes: list[str], status: int = 200) -> Response:
    told = VersionFilledOut(version, context={"notes": notes}).data
    return Response(told, status=status, headers={"ETag": etag(version.revision)})


def _content(request: Request) -> tuple[Iterator[bytes], str]:
    """Return an upload's bytes in chunks and its name; a JSON body is its own content."""
    upload: Any = request.FILES.get("file")
    if upload is not None:
        return upload.chunks(), upload.name or ""
    if isinstance(request.data, dict) and not hasattr(request.data, "lists"):
        return iter([orjson.dumps(request.data)]), ""
    raise Invalid("Send one file under the name 'file', or a JSON body.", fields={"file": "is missing"})
