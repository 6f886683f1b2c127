"""The registry in the admin: organisations, environments and roles are configuration; versions are records."""

from models_registry.admin import consumers, environments, organisations, registered_models, roles, streams, versions

__all__ = ["consumers", "environments", "organisations", "registered_models", "roles", "streams", "versions"]
