"""Addresses of the trail's pages."""

from django.urls import path

from audit.web import events, tree

urlpatterns = [
    path("audit/", events.index, name="audit"),
    path("audit/heads/", tree.heads, name="audit-heads"),
    path("audit/proof/", tree.proof, name="audit-proof"),
]
