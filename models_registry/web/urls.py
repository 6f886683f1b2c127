"""Addresses of the registry's pages."""

from django.urls import path

from models_registry.links import PLACE
from models_registry.web import blobs, environments, registered_models, schemas, versions

MODEL = "models/<slug:slug>/"
VERSION = MODEL + "versions/<int:number>/"

urlpatterns = [
    path(f"{PLACE}/<slug:sha256>/", blobs.blob, name="blob"),
    path("environments/", environments.index, name="environments"),
    path("environments/<slug:slug>/", environments.detail, name="environment"),
    path("models/", registered_models.index, name="models"),
    path("models/new/", registered_models.new, name="model-new"),
    path(MODEL, registered_models.detail, name="model"),
    path(MODEL + "versions/new/", versions.new, name="version-new"),
    path(VERSION, versions.detail, name="version"),
    path(VERSION + "elements/<slug:name>/", versions.element, name="version-element"),
    path(VERSION + "elements/<slug:name>/remove/", versions.remove, name="version-element-remove"),
    path(VERSION + "schemas/<slug:language>/", schemas.schemas, name="version-schemas"),
    path(VERSION + "infer-schemas/", versions.infer, name="version-infer-schemas"),
    path(VERSION + "nominate/", versions.nominate, name="version-nominate"),
    path(VERSION + "discard/", versions.discard, name="version-discard"),
]
