"""Tables of the registry."""

from models_registry.models.consumers import Consumer
from models_registry.models.environments import (
    Environment,
    EnvironmentGroupGrant,
    EnvironmentOwner,
    EnvironmentUserGrant,
    Organisation,
)
from models_registry.models.import_exceptions import ImportException
from models_registry.models.profiles import EnvironmentProfile
from models_registry.models.registered_models import (
    RegisteredModel,
    RegisteredModelGroupGrant,
    RegisteredModelUserGrant,
)
from models_registry.models.streams import Stream
from models_registry.models.versions import Blob, Element, ModelVersion

__all__ = [
    "Blob",
    "Consumer",
    "Element",
    "Environment",
    "EnvironmentGroupGrant",
    "EnvironmentOwner",
    "EnvironmentProfile",
    "EnvironmentUserGrant",
    "ImportException",
    "ModelVersion",
    "Organisation",
    "RegisteredModel",
    "RegisteredModelGroupGrant",
    "RegisteredModelUserGrant",
    "Stream",
]
