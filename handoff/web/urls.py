"""Addresses of the handoff's pages."""

from django.urls import path

from handoff.web import (
    checklist_templates,
    checklists,
    deployments,
    differences,
    drafts,
    findings,
    handoffs,
    inbox,
    owners,
    policies,
    replays,
    signoffs,
)

urlpatterns = [
    path("", inbox.inbox, name="inbox"),
    path("handoffs/", handoffs.index, name="handoffs"),
    path("handoffs/new/", drafts.new, name="handoff-new"),
    path("handoffs/<uuid:handoff_id>/", handoffs.detail, name="handoff"),
    path("handoffs/<uuid:handoff_id>/progress/", handoffs.progress, name="handoff-progress"),
    path("handoffs/<uuid:handoff_id>/change/", handoffs.change, name="handoff-change"),
    path("handoffs/<uuid:handoff_id>/offer/", handoffs.offer, name="handoff-offer"),
    path("handoffs/<uuid:handoff_id>/withdraw/", handoffs.withdraw, name="handoff-withdraw"),
    path("handoffs/<uuid:handoff_id>/deploy-again/", handoffs.deploy_again, name="handoff-deploy-again"),
    path("handoffs/<uuid:handoff_id>/answers/<slug:item>/", checklists.answer, name="handoff-answer"),
    path("handoffs/<uuid:handoff_id>/differences/", differences.detail, name="handoff-differences"),
    path("handoffs/<uuid:handoff_id>/differences/print/", differences.printed, name="handoff-differences-print"),
    path("handoffs/<uuid:handoff_id>/acknowledgements/", checklists.acknowledge, name="handoff-acknowledge"),
    path("handoffs/<uuid:handoff_id>/evidence/<int:evidence_id>/", checklists.evidence, name="handoff-evidence"),
    path("handoffs/<uuid:handoff_id>/sign/<slug:requirement>/", signoffs.sign, name="handoff-sign"),
    path("handoffs/<uuid:handoff_id>/signoffs/<uuid:signoff_id>/", signoffs.detail, name="handoff-signoff"),
    path(
        "handoffs/<uuid:handoff_id>/signoffs/<uuid:signoff_id>/withdraw/",
        signoffs.withdraw,
        name="handoff-signoff-withdraw",
    ),
    path(
        "handoffs/<uuid:handoff_id>/findings/<uuid:finding_id>/accept/", findings.accept, name="handoff-finding-accept"
    ),
    path("handoffs/<uuid:handoff_id>/findings/<uuid:finding_id>/close/", findings.close, name="handoff-finding-close"),
    path("handoffs/<uuid:handoff_id>/findings/raise/", findings.raise_finding, name="handoff-finding-raise"),
    path("handoffs/<uuid:handoff_id>/findings/<uuid:finding_id>/file/", findings.file, name="handoff-finding-file"),
    path("findings/", findings.index, name="findings"),
    path("handoffs/<uuid:handoff_id>/replays/", replays.index, name="handoff-replays"),
    path("handoffs/<uuid:handoff_id>/replays/order/", replays.order, name="handoff-replay-order"),
    path("deployments/", deployments.index, name="deployments"),
    path("deployments/<uuid:deployment_id>/", deployments.detail, name="deployment"),
    path("deployments/<uuid:deployment_id>/progress/", deployments.progress, name="deployment-progress"),
    path("deployments/<uuid:deployment_id>/run/", deployments.run, name="deployment-run"),
    path("deployments/<uuid:deployment_id>/try/", deployments.try_record, name="deployment-try"),
    path("deployments/<uuid:deployment_id>/roll-back/", deployments.roll_back, name="deployment-roll-back"),
    path("owners-of-record/", owners.index, name="owners-of-record"),
    path("policies/", policies.index, name="policies"),
    path("checklists/", checklist_templates.index, name="checklist-templates"),
    path("checklists/<slug:template>/", checklist_templates.detail, name="checklist-template"),
    path("policies/publish/", policies.publish, name="policy-publish"),
    path("policies/<slug:slug>/<int:number>/", policies.revision, name="policy-revision"),
]
