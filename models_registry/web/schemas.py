"""The schemas of a version as a file in another language."""

import json

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from audit.actors import actor_at
from models_registry import queries
from models_registry.schemas import schemas_in, written


@login_required
@require_safe
def schemas(request: HttpRequest, slug: str, number: int, language: str) -> HttpResponse:
    """Give both schemas as one file."""
    version = queries.version(actor_at(request, "web"), slug, number)
    content = written(schemas_in(list(version.elements.all())), language)
    answer = HttpResponse(json.dumps(content, indent=2, ensure_ascii=False), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{slug}-v{number}-schemas.{language}.json"'
    return answer
