"""Addresses of the registry's API, below /api/v1/."""

from django.urls import path

from models_registry.api import (
    consumers,
    delegations,
    duties,
    environments,
    import_exceptions,
    profiles,
    registered_models,
    roles,
    schemas,
    streams,
    versions,
)

MODEL = "models/<slug:model>/"
STREAM = "environments/<slug:environment>/streams/<slug:stream>/"
EXCEPTIONS = "environments/<slug:environment>/exceptions/"
EXCEPTION = EXCEPTIONS + "<uuid:exception_id>/"
VERSION = MODEL + "versions/<int:number>/"

urlpatterns = [
    path("organisations/", environments.Organisations.as_view(), name="organisations"),
    path("organisations/<slug:organisation>/roles/", roles.OrganisationRoles.as_view(), name="organisation-roles"),
    path("environments/", environments.Environments.as_view(), name="environments"),
    path("environments/<slug:environment>/", environments.OneEnvironment.as_view(), name="environment"),
    path("environments/<slug:environment>/roles/", roles.EnvironmentRoles.as_view(), name="environment-roles"),
    path("environments/<slug:environment>/streams/", streams.Streams.as_view(), name="streams"),
    path(STREAM, streams.OneStream.as_view(), name="stream"),
    path(STREAM + "retire/", streams.Retire.as_view(), name="stream-retire"),
    path(STREAM + "fit/", streams.Fits.as_view(), name="stream-fit"),
    path(STREAM + "consumers/", consumers.Consumers.as_view(), name="consumers"),
    path(STREAM + "consumers/<uuid:consumer_id>/", consumers.OneConsumer.as_view(), name="consumer"),
    path(STREAM + "consumers/<uuid:consumer_id>/retire/", consumers.Retire.as_view(), name="consumer-retire"),
    path("environments/<slug:environment>/profiles/", profiles.Profiles.as_view(), name="environment-profiles"),
    path(
        "environments/<slug:environment>/profiles/<int:number>/",
        profiles.OneProfile.as_view(),
        name="environment-profile",
    ),
    path(EXCEPTIONS, import_exceptions.Exceptions.as_view(), name="exceptions"),
    path(EXCEPTION, import_exceptions.OneException.as_view(), name="exception"),
    path(EXCEPTION + "answer/", import_exceptions.AnswerException.as_view(), name="exception-answer"),
    path(EXCEPTION + "withdraw/", import_exceptions.WithdrawException.as_view(), name="exception-withdraw"),
    path(EXCEPTION + "revoke/", import_exceptions.RevokeException.as_view(), name="exception-revoke"),
    path("delegations/", delegations.Delegations.as_view(), name="delegations"),
    path("delegations/<uuid:delegation_id>/end/", delegations.EndDelegation.as_view(), name="delegation-end"),
    path("duties/", duties.Duties.as_view(), name="duties"),
    path("duties/<slug:role>/acknowledgements/", duties.DutyAcknowledgements.as_view(), name="duty-acknowledgements"),
    path("reassignments/", duties.Reassignments.as_view(), name="reassignments"),
    path("raci/", duties.Raci.as_view(), name="raci"),
    path("models/", registered_models.Models.as_view(), name="models"),
    path(MODEL, registered_models.OneModel.as_view(), name="model"),
    path(MODEL + "roles/", roles.ModelRoles.as_view(), name="model-roles"),
    path(MODEL + "versions/", versions.Versions.as_view(), name="versions"),
    path(VERSION, versions.OneVersion.as_view(), name="version"),
    path(VERSION + "elements/<slug:element>/", versions.OneElement.as_view(), name="element"),
    path(VERSION + "schemas/<slug:language>/", schemas.SchemasIn.as_view(), name="version-schemas"),
    path(VERSION + "compatibility/", schemas.Compatibility.as_view(), name="version-compatibility"),
    path(VERSION + "verdicts/", versions.Verdicts.as_view(), name="version-verdicts"),
    path(VERSION + "infer-schemas/", versions.InferSchemas.as_view(), name="version-infer-schemas"),
    path(VERSION + "nominate/", versions.Nominate.as_view(), name="version-nominate"),
    path(VERSION + "discard/", versions.Discard.as_view(), name="version-discard"),
    path(VERSION + "manifest/", versions.ManifestText.as_view(), name="version-manifest"),
]
