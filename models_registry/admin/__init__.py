"""The registry in the admin: organisations, environments and roles are configuration; versions are records."""

from models_registry.admin import environments, organisations, registered_models, roles, versions

__all__ = ["environments", "organisations", "registered_models", "roles", "versions"]
