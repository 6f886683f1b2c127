"""Addresses of the registry's pages."""

from django.urls import path

from models_registry.web import blobs

urlpatterns = [
    path("blobs/<slug:sha256>/", blobs.blob, name="blob"),
]
