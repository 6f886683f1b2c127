"""Tables of the registry."""

from models_registry.models.consumers import Consumer
from models_registry.models.delegations import Delegation
from models_registry.models.duties import DutyAcknowledgement, DutyRevision, RaciEntry, RaciRevision
from models_registry.models.environments import Environment, EnvironmentOwner, Organisation
from models_registry.models.import_exceptions import ImportException
from models_registry.models.profiles import EnvironmentProfile
from models_registry.models.registered_models import RegisteredModel
from models_registry.models.roles import (
    EnvironmentGroupGrant,
    EnvironmentUserGrant,
    Holding,
    OrganisationGroupGrant,
    OrganisationUserGrant,
    RegisteredModelGroupGrant,
    RegisteredModelUserGrant,
)
from models_registry.models.streams import Stream
from models_registry.models.versions import Blob, Element, ModelVersion

__all__ = [
    "Blob",
    "Consumer",
    "Delegation",
    "DutyAcknowledgement",
    "DutyRevision",
    "Element",
    "Environment",
    "EnvironmentGroupGrant",
    "EnvironmentOwner",
    "EnvironmentProfile",
    "EnvironmentUserGrant",
    "Holding",
    "ImportException",
    "ModelVersion",
    "Organisation",
    "OrganisationGroupGrant",
    "OrganisationUserGrant",
    "RaciEntry",
    "RaciRevision",
    "RegisteredModel",
    "RegisteredModelGroupGrant",
    "RegisteredModelUserGrant",
    "Stream",
]
