"""Addresses of the trail's page."""

from django.urls import path

from audit.web import events

urlpatterns = [path("audit/", events.index, name="audit")]
