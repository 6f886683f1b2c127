"""Tables of the handoff."""

from handoff.models.adoptions import Adoption
from handoff.models.amendments import Amendment, AmendmentSignOff
from handoff.models.answers import Acknowledgement, Answer, Damage, Evidence
from handoff.models.break_glass import BreakGlass
from handoff.models.checklist_templates import ChecklistTemplateRevision
from handoff.models.conditions import Condition, ConditionStep
from handoff.models.consumers import AskedConsumer
from handoff.models.decisions import Decision
from handoff.models.deployments import Deployment, OwnerOfRecord
from handoff.models.findings import Finding
from handoff.models.handoffs import Handoff, Return
from handoff.models.invariants import InvariantCheck
from handoff.models.jobs import Job
from handoff.models.persons import FormerPerson, Leaver, MergedAccount
from handoff.models.policies import Policy, PolicyRevision
from handoff.models.promotion_tests import PromotionTest
from handoff.models.reconciliations import Reconciliation
from handoff.models.replays import Replay
from handoff.models.retirements import Retirement, RetirementNotice
from handoff.models.runs import Run
from handoff.models.signoffs import Reauthentication, SignOff
from handoff.models.standard_changes import StandardChange
from handoff.models.suspensions import Suspension
from handoff.models.waivers import Waiver
from handoff.models.watches import Watch

__all__ = [
    "Acknowledgement",
    "Adoption",
    "Amendment",
    "AmendmentSignOff",
    "Answer",
    "AskedConsumer",
    "BreakGlass",
    "ChecklistTemplateRevision",
    "Condition",
    "ConditionStep",
    "Damage",
    "Decision",
    "Deployment",
    "Evidence",
    "Finding",
    "FormerPerson",
    "Handoff",
    "InvariantCheck",
    "Job",
    "Leaver",
    "MergedAccount",
    "OwnerOfRecord",
    "Policy",
    "PolicyRevision",
    "PromotionTest",
    "Reauthentication",
    "Reconciliation",
    "Replay",
    "Retirement",
    "RetirementNotice",
    "Return",
    "Run",
    "SignOff",
    "StandardChange",
    "Suspension",
    "Waiver",
    "Watch",
]
