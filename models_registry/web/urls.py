"""Addresses of the registry's pages."""

from django.urls import path

from models_registry.links import PLACE
from models_registry.web import (
    blobs,
    consumers,
    delegations,
    duties,
    environments,
    import_exceptions,
    registered_models,
    schemas,
    streams,
    versions,
)

MODEL = "models/<slug:slug>/"
STREAM = "environments/<slug:environment>/streams/<slug:stream>/"
EXCEPTIONS = "environments/<slug:environment>/exceptions/"
EXCEPTION = EXCEPTIONS + "<uuid:exception_id>/"
VERSION = MODEL + "versions/<int:number>/"

urlpatterns = [
    path(f"{PLACE}/<slug:sha256>/", blobs.blob, name="blob"),
    path("delegations/", delegations.index, name="delegations"),
    path("delegations/<uuid:delegation_id>/end/", delegations.end, name="delegation-end"),
    path("duties/", duties.index, name="duties"),
    path("duties/<slug:role>/acknowledge/", duties.acknowledge, name="duty-acknowledge"),
    path("environments/", environments.index, name="environments"),
    path("environments/<slug:slug>/", environments.detail, name="environment"),
    path("environments/<slug:environment>/streams/new/", streams.new, name="stream-new"),
    path(STREAM, streams.detail, name="stream"),
    path(STREAM + "change/", streams.change, name="stream-change"),
    path(STREAM + "retire/", streams.retire, name="stream-retire"),
    path(STREAM + "consumers/new/", consumers.new, name="consumer-new"),
    path(STREAM + "consumers/<uuid:consumer_id>/change/", consumers.change, name="consumer-change"),
    path(STREAM + "consumers/<uuid:consumer_id>/retire/", consumers.retire, name="consumer-retire"),
    path(EXCEPTIONS, import_exceptions.index, name="exceptions"),
    path(EXCEPTIONS + "new/", import_exceptions.new, name="exception-new"),
    path(EXCEPTION, import_exceptions.detail, name="exception"),
    path(EXCEPTION + "answer/", import_exceptions.answer, name="exception-answer"),
    path(EXCEPTION + "withdraw/", import_exceptions.withdraw, name="exception-withdraw"),
    path(EXCEPTION + "revoke/", import_exceptions.revoke, name="exception-revoke"),
    path("models/", registered_models.index, name="models"),
    path("models/new/", registered_models.new, name="model-new"),
    path(MODEL, registered_models.detail, name="model"),
    path(MODEL + "change/", registered_models.change, name="model-change"),
    path(MODEL + "versions/new/", versions.new, name="version-new"),
    path(VERSION, versions.detail, name="version"),
    path(VERSION + "elements/<slug:name>/", versions.element, name="version-element"),
    path(VERSION + "elements/<slug:name>/remove/", versions.remove, name="version-element-remove"),
    path(VERSION + "schemas/<slug:language>/", schemas.schemas, name="version-schemas"),
    path(VERSION + "infer-schemas/", versions.infer, name="version-infer-schemas"),
    path(VERSION + "nominate/", versions.nominate, name="version-nominate"),
    path(VERSION + "discard/", versions.discard, name="version-discard"),
]
