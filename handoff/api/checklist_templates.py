"""The checklists of the product and of the site, over the API: list, read, publish."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from handoff.queries.checklist_templates import all_templates, template_of
from handoff.rules.checklist_templates import Template
from handoff.services import checklist_templates


class ApplicationOut(serializers.Serializer[Any]):
    what = serializers.CharField()
    since = serializers.DateField()
    until = serializers.DateField(allow_null=True)


class TemplateItemOut(serializers.Serializer[Any]):
    key = serializers.CharField()
    question = serializers.CharField()
    help = serializers.CharField()
    role = serializers.CharField(help_text="Who answers; empty for an item that is computed.")
    fact = serializers.CharField()
    evidence = serializers.ListField(child=serializers.CharField())
    figure = serializers.CharField()
    two_people = serializers.BooleanField()
    valid_days = serializers.IntegerField()
    section = serializers.CharField()
    reference = serializers.CharField()
    level = serializers.IntegerField()


class TemplateOut(serializers.Serializer[Any]):
    template = serializers.CharField(source="key", help_text="What a policy includes it by.")
    title = serializers.CharField()
    about = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    digest = serializers.CharField(help_text="Stands in each policy that includes it.")
    scored = serializers.BooleanField()
    levels = serializers.DictField(child=serializers.CharField())
    applies = ApplicationOut(many=True)


class TemplateDetailOut(TemplateOut):
    items = serializers.SerializerMethodField()

    @extend_schema_field(TemplateItemOut(many=True))
    def get_items(self, template: Template) -> Any:
        """Return the items, each with the level from which on it is asked."""
        rows = [asdict(item) | {"level": template.level_of(item.key)} for item in template.items]
        return TemplateItemOut(rows, many=True).data


class TemplateIn(serializers.Serializer[Any]):
    source = serializers.CharField(trim_whitespace=False, help_text="YAML.")  # type: ignore[assignment]


class Templates(APIView):
    """The checklists that a policy may include."""

    @extend_schema(responses=TemplateOut(many=True), operation_id="checklist_templates_list")
    def get(self, request: Request) -> Response:
        actor_at(request, "api")
        known_parameters(request, ())
        return Response(TemplateOut(list(all_templates().values()), many=True).data)

    @extend_schema(request=TemplateIn, responses={201: TemplateDetailOut}, operation_id="checklist_template_publish")
    def post(self, request: Request) -> Response:
        body = TemplateIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            revision = checklist_templates.publish(actor=Person.at(request, "api"), **body.validated_data)
            return Response(TemplateDetailOut(template_of(revision.key)[0]).data, status=201)

        return once(request, create)


class OneTemplate(APIView):
    """One checklist with its items."""

    @extend_schema(responses=TemplateDetailOut, operation_id="checklist_template_read")
    def get(self, request: Request, template: str) -> Response:
        actor_at(request, "api")
        return Response(TemplateDetailOut(template_of(template)[0]).data)
