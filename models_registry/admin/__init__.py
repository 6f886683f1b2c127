"""The registry in the admin: organisations, environments, streams and roles are configuration; all else is a record."""

from models_registry.admin import (
    consumers,
    delegations,
    duties,
    environment_owners,
    environments,
    import_exceptions,
    organisations,
    profiles,
    registered_models,
    roles,
    streams,
    versions,
)

__all__ = [
    "consumers",
    "delegations",
    "duties",
    "environment_owners",
    "environments",
    "import_exceptions",
    "organisations",
    "profiles",
    "registered_models",
    "roles",
    "streams",
    "versions",
]
