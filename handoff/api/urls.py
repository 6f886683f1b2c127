"""Addresses of the handoff's API, below /api/v1/."""

from django.urls import path

from handoff.api import (
    changes,
    checklist_templates,
    checklists,
    conditions,
    deployments,
    differences,
    findings,
    handoffs,
    moments,
    owners,
    packs,
    policies,
    replays,
    runs,
    signoffs,
)

urlpatterns = [
    path("inbox/", handoffs.Inbox.as_view(), name="inbox"),
    path("policies/", policies.Policies.as_view(), name="policies"),
    path("checklists/", checklist_templates.Templates.as_view(), name="checklist-templates"),
    path("checklists/<slug:template>/", checklist_templates.OneTemplate.as_view(), name="checklist-template"),
    path("policies/validate/", policies.ValidatePolicy.as_view(), name="policy-validate"),
    path("policies/<slug:policy>/<int:number>/", policies.OnePolicy.as_view(), name="policy"),
    path("reauthentications/", signoffs.Reauthentications.as_view(), name="reauthentications"),
    path("handoffs/", handoffs.Handoffs.as_view(), name="handoffs"),
    path("handoffs/<uuid:handoff_id>/", handoffs.OneHandoff.as_view(), name="handoff"),
    path("handoffs/<uuid:handoff_id>/offer/", handoffs.Offer.as_view(), name="handoff-offer"),
    path("handoffs/<uuid:handoff_id>/withdraw/", handoffs.Withdraw.as_view(), name="handoff-withdraw"),
    path("handoffs/<uuid:handoff_id>/decisions/", handoffs.Decisions.as_view(), name="handoff-decisions"),
    path("handoffs/<uuid:handoff_id>/evidence/", checklists.EvidenceFiles.as_view(), name="handoff-evidence"),
    path("handoffs/<uuid:handoff_id>/answers/", checklists.Answers.as_view(), name="handoff-answers"),
    path("handoffs/<uuid:handoff_id>/differences/", differences.Differences.as_view(), name="handoff-differences"),
    path(
        "handoffs/<uuid:handoff_id>/acknowledgements/",
        checklists.Acknowledgements.as_view(),
        name="handoff-acknowledgements",
    ),
    path("handoffs/<uuid:handoff_id>/sheets/<slug:requirement>/", signoffs.Sheet.as_view(), name="handoff-sheet"),
    path("handoffs/<uuid:handoff_id>/signoffs/", signoffs.SignOffs.as_view(), name="handoff-signoffs"),
    path(
        "handoffs/<uuid:handoff_id>/signoffs/<uuid:signoff_id>/",
        signoffs.OneSignOff.as_view(),
        name="handoff-signoff",
    ),
    path(
        "handoffs/<uuid:handoff_id>/signoffs/<uuid:signoff_id>/withdraw/",
        signoffs.WithdrawSignOff.as_view(),
        name="signoff-withdraw",
    ),
    path(
        "handoffs/<uuid:handoff_id>/signoffs/<uuid:signoff_id>/revoke/",
        signoffs.RevokeSignOff.as_view(),
        name="signoff-revoke",
    ),
    path(
        "handoffs/<uuid:handoff_id>/conditions/<int:condition_id>/report/",
        conditions.ReportCondition.as_view(),
        name="condition-report",
    ),
    path(
        "handoffs/<uuid:handoff_id>/conditions/<int:condition_id>/accept/",
        conditions.AcceptCondition.as_view(),
        name="condition-accept",
    ),
    path(
        "handoffs/<uuid:handoff_id>/conditions/<int:condition_id>/reject/",
        conditions.RejectCondition.as_view(),
        name="condition-reject",
    ),
    path("handoffs/<uuid:handoff_id>/deploy-again/", deployments.DeployAgain.as_view(), name="handoff-deploy-again"),
    path("findings/", findings.OpenFindings.as_view(), name="findings"),
    path(
        "handoffs/<uuid:handoff_id>/findings/<uuid:finding_id>/close/",
        findings.CloseFinding.as_view(),
        name="finding-close",
    ),
    path("handoffs/<uuid:handoff_id>/findings/", findings.Findings.as_view(), name="handoff-findings"),
    path(
        "handoffs/<uuid:handoff_id>/findings/<uuid:finding_id>/accept/",
        findings.AcceptFinding.as_view(),
        name="finding-accept",
    ),
    path("handoffs/<uuid:handoff_id>/replays/", replays.Replays.as_view(), name="handoff-replays"),
    path("handoffs/<uuid:handoff_id>/replays/<int:number>/", replays.OneReplay.as_view(), name="handoff-replay"),
    path("handoffs/<uuid:handoff_id>/evidence-pack/", packs.EvidencePack.as_view(), name="handoff-pack"),
    path("deployments/", deployments.Deployments.as_view(), name="deployments"),
    path("deployments/<uuid:deployment_id>/", deployments.OneDeployment.as_view(), name="deployment"),
    path("deployments/<uuid:deployment_id>/roll-back/", deployments.RollBack.as_view(), name="deployment-roll-back"),
    path("deployments/<uuid:deployment_id>/runs/", runs.Runs.as_view(), name="deployment-runs"),
    path("deployments/<uuid:deployment_id>/runs/<int:number>/", runs.OneRun.as_view(), name="deployment-one-run"),
    path(
        "deployments/<uuid:deployment_id>/runs/<int:number>/stop/", runs.StopRun.as_view(), name="deployment-run-stop"
    ),
    path("environments/<slug:environment>/moment/", moments.EnvironmentAt.as_view(), name="environment-moment"),
    path("changes/", changes.Changes.as_view(), name="changes"),
    path("owners-of-record/", owners.OwnerOn.as_view(), name="owner-of-record"),
]
