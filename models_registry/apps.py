"""Tell Django about the registry."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "models_registry"
    verbose_name = "models and environments"
