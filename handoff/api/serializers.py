"""What the API takes and gives. Input and output are apart; inputs are plain: no field is writable by chance."""

from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from audit.names import named
from handoff.api.break_glass import BreakGlassOut
from handoff.api.consumers import AskedConsumerOut
from handoff.api.watches import WatchOut
from handoff.models import (
    Answer,
    Decision,
    Deployment,
    Evidence,
    Handoff,
    Job,
    OwnerOfRecord,
    PolicyRevision,
    PromotionTest,
    Return,
    SignOff,
)
from handoff.queries.runs import next_due
from handoff.states import SignOffState
from models_registry.models import EnvironmentOwner


class PersonOut(serializers.Serializer[Any]):
    username = serializers.CharField()
    name = serializers.CharField(source="printed_name")


class HandoffIn(serializers.Serializer[Any]):
    model = serializers.SlugField()
    version = serializers.IntegerField(min_value=1)
    source = serializers.SlugField()  # type: ignore[assignment]
    target = serializers.SlugField()
    note = serializers.CharField(required=False, allow_blank=True, max_length=10000, default="")
    bindings = serializers.DictField(required=False, default=dict)


class HandoffChangeIn(serializers.Serializer[Any]):
    note = serializers.CharField(required=False, allow_blank=True, max_length=10000)
    bindings = serializers.DictField(required=False)


class ReasonIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class EvidenceIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=Evidence.Kind.choices)
    label = serializers.CharField(required=False, allow_blank=True, max_length=200)  # type: ignore[assignment]
    receipt = serializers.CharField(required=False, max_length=300, help_text="What POST evidence/ answered.")
    link = serializers.CharField(required=False, max_length=500)
    figure = serializers.FloatField(required=False)
    replay = serializers.IntegerField(required=False, min_value=1, help_text="The number of an equal replay.")
    test = serializers.SlugField(required=False, help_text="A promotion test that passed.")
    item = serializers.SlugField(required=False, help_text="Another item that was answered yes.")


class AnswerIn(serializers.Serializer[Any]):
    item = serializers.SlugField()
    choice = serializers.ChoiceField(choices=Answer.Choice.choices)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")
    evidence = EvidenceIn(many=True, required=False, default=list)


class AcknowledgeIn(serializers.Serializer[Any]):
    differences = serializers.ListField(child=serializers.CharField(max_length=200), max_length=500)
    comment = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")
    mitigation = serializers.CharField(
        required=False, allow_blank=True, max_length=5000, default="", help_text="What was done about them."
    )


class ConditionIn(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=2000)
    due = serializers.DateField(help_text="The last day; from the next one on the approval does not count.")
    owner = serializers.CharField(max_length=150, help_text="The user name of who sees to it.")


class ConditionStepIn(serializers.Serializer[Any]):
    comment = serializers.CharField(max_length=5000)


class ConditionReportIn(ConditionStepIn):
    link = serializers.CharField(max_length=500, help_text="The evidence.")


class SignOffIn(serializers.Serializer[Any]):
    requirement = serializers.SlugField()
    decision = serializers.ChoiceField(choices=SignOff.Decision.choices)
    meaning = serializers.CharField(max_length=40)
    comment = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")
    seen = serializers.RegexField(r"^[0-9a-f]{64}$", help_text="The digest of the sheet that was shown.")
    reauthentication = serializers.UUIDField(help_text="From POST /reauthentications/, good for one signature.")
    reasons = serializers.ListField(
        child=serializers.ChoiceField(choices=Return.Reason.choices), required=False, default=list
    )
    retests = serializers.ListField(child=serializers.SlugField(), required=False, default=list, max_length=20)
    conditions = ConditionIn(many=True, required=False, default=list, help_text="Of a conditional approval.")


class ReauthenticationIn(serializers.Serializer[Any]):
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(required=False, allow_blank=True, max_length=20, default="")


class ReauthenticationOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    method = serializers.CharField()
    expires_at = serializers.DateTimeField()


class PolicyIn(serializers.Serializer[Any]):
    source = serializers.CharField(max_length=262144, trim_whitespace=False)  # type: ignore[assignment]


class PolicyRevisionOut(serializers.ModelSerializer[PolicyRevision]):
    policy = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    published_by = PersonOut(allow_null=True)

    class Meta:
        model = PolicyRevision
        fields = ("id", "policy", "number", "digest", "content", "source", "published_by", "published_at")


class ChangesOut(serializers.Serializer[Any]):
    gained = serializers.ListField(child=serializers.CharField(), help_text="What would be demanded anew, in words.")
    lost = serializers.ListField(child=serializers.CharField(), help_text="What would be demanded no more.")
    changed = serializers.ListField(child=serializers.CharField(), help_text="What would be demanded otherwise.")


class AskedOut(serializers.Serializer[Any]):
    handoff = serializers.UUIDField(source="handoff.pk")
    name = serializers.CharField(source="handoff")
    changes = ChangesOut()


class PolicyDifferenceOut(serializers.Serializer[Any]):
    against = serializers.CharField(help_text="The newest revision; empty where the draft is the first.")
    changes = ChangesOut()
    open = AskedOut(many=True, help_text="Open handoffs that would be asked otherwise. They keep what they have.")
    hidden = serializers.IntegerField(help_text="How many more there are that you may not know by name.")


class StoppedOut(serializers.Serializer[Any]):
    handoff = serializers.SerializerMethodField()
    name = serializers.SerializerMethodField()
    gate = serializers.SerializerMethodField()
    missing = serializers.SerializerMethodField()

    def get_handoff(self, row: Any) -> str:
        """Return the handoff's key."""
        return str(row[0].pk)

    def get_name(self, row: Any) -> str:
        """Return the handoff as people call it."""
        return str(row[0])

    def get_gate(self, row: Any) -> str:
        """Return the gate that would have been shut."""
        return str(row[1])

    def get_missing(self, row: Any) -> list[str]:
        """Return what it would have lacked."""
        return list(row[2])


class SimulationOut(serializers.Serializer[Any]):
    handoffs = serializers.SerializerMethodField()
    gates = serializers.IntegerField(source="found.gates", help_text="How many gates that opened were judged anew.")
    stopped = serializers.SerializerMethodField()
    missing = serializers.DictField(child=serializers.IntegerField(), source="found.missing")
    rows = StoppedOut(many=True, help_text="At most a hundred handoffs, those that you may know by name.")

    def get_handoffs(self, found: Any) -> int:
        """Return how many handoffs were judged."""
        return len(found.found.handoffs)

    def get_stopped(self, found: Any) -> int:
        """Return how many of them would have been stopped."""
        return len(found.found.stopped)


class ReturnOut(serializers.ModelSerializer[Return]):
    returned_by = PersonOut(allow_null=True)

    class Meta:
        model = Return
        fields = ("reasons", "comment", "retests", "returned_by", "returned_at")


class AppliedOut(serializers.Serializer[Any]):
    policy = serializers.CharField()
    revision = serializers.IntegerField()
    digest = serializers.CharField()


class HandoffOut(serializers.ModelSerializer[Handoff]):
    model = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    version = serializers.IntegerField(source="version.number")
    digest = serializers.CharField(source="version.digest")
    source = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)  # type: ignore[assignment]
    target = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    policy = serializers.CharField(source="policy_revision.policy.slug", default=None, allow_null=True)
    policy_number = serializers.IntegerField(source="policy_revision.number", default=None, allow_null=True)
    policies = AppliedOut(many=True, help_text="All policies that applied at the offer; their union counts.")
    drafted_by = PersonOut()
    offered_by = PersonOut(allow_null=True)

    class Meta:
        model = Handoff
        fields = (
            "id",
            "number",
            "model",
            "version",
            "digest",
            "source",
            "target",
            "state",
            "note",
            "bindings",
            "policy",
            "policy_number",
            "policies",
            "policy_digest",
            "report_digest",
            "drafted_by",
            "drafted_at",
            "offered_by",
            "offered_at",
            "expires_at",
            "moved_at",
            "revision",
        )


class HandoffRowOut(HandoffOut):
    """One handoff in a list."""

    by_break_glass = serializers.BooleanField(help_text="Whether it was ever deployed before all had signed.")

    class Meta(HandoffOut.Meta):
        fields = (*HandoffOut.Meta.fields, "by_break_glass")  # type: ignore[assignment]


class RequirementOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    key = serializers.CharField()
    title = serializers.CharField()
    role = serializers.CharField()
    met = serializers.BooleanField()
    why = serializers.CharField(help_text="Why it is not met.")
    who = serializers.ListField(child=serializers.CharField(), help_text="Who can clear it.")
    by = serializers.ListField(child=serializers.CharField(), help_text="Who has met it.")
    waived = serializers.CharField(help_text="Until when it is waived, by whom, and what makes up for it.")
    again = serializers.CharField(help_text="Which signatures that still count are asked for anew, by when and why.")
    needed = serializers.BooleanField(help_text="Whether the gate waits for it; false where it is advisory.")
    turn = serializers.BooleanField(help_text="Whether its turn has come; else `who` are those who sign first.")
    roles = serializers.ListField(child=serializers.CharField(), help_text="The roles of which somebody may sign.")


class GateOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=["passed", "now", "ahead"])
    open = serializers.BooleanField(source="result.open")
    requirements = RequirementOut(many=True, source="result.requirements")


class EvidenceOut(serializers.ModelSerializer[Evidence]):
    sha256 = serializers.CharField(source="blob_id", allow_null=True)
    test = serializers.CharField(source="test.kind", default=None, allow_null=True)
    item = serializers.CharField(source="other.item", default=None, allow_null=True)

    class Meta:
        model = Evidence
        fields = ("kind", "label", "sha256", "link", "figure", "test", "item")


class AnswerOut(serializers.ModelSerializer[Answer]):
    answered_by = PersonOut()
    evidence = EvidenceOut(many=True)

    class Meta:
        model = Answer
        fields = ("item", "choice", "reason", "evidence", "answered_by", "answered_at")


class ConditionStepOut(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="reported, rejected or accepted")
    comment = serializers.CharField()
    link = serializers.CharField()
    taken_by = serializers.CharField(source="taken_by.username")
    taken_at = serializers.DateTimeField()


class ConditionOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    text = serializers.CharField()
    due_at = serializers.DateTimeField()
    owner = serializers.CharField(source="owner.username")
    steps = ConditionStepOut(many=True)


# The fields are written out: deriving them from the table at every signature took as long as half of its statements.
class SignOffOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    gate = serializers.CharField()
    requirement = serializers.SlugField()
    role = serializers.CharField()
    signer = serializers.CharField(source="signer.username")
    printed_name = serializers.CharField()
    decision = serializers.ChoiceField(choices=SignOff.Decision.choices)
    state = serializers.ChoiceField(choices=SignOffState.choices, help_text="What became of it.")
    meaning = serializers.CharField()
    comment = serializers.CharField()
    conditions = serializers.SerializerMethodField()
    scope = serializers.JSONField(help_text="The digests of all that was signed.")
    scope_digest = serializers.CharField()
    statement = serializers.CharField(help_text="The canonical bytes of the signed statement.")
    statement_digest = serializers.CharField()
    key = serializers.CharField(source="key_id", allow_null=True, help_text="The name of the site's key; see /keys/.")
    signature = serializers.CharField(help_text="By that key over the statement in its envelope, in base64.")
    signed_at = serializers.DateTimeField()
    voided_at = serializers.DateTimeField(allow_null=True)
    voided_because = serializers.CharField()

    @extend_schema_field(ConditionOut(many=True))
    def get_conditions(self, signoff: SignOff) -> Any:
        """Return the conditions of a conditional approval."""
        conditional = signoff.decision == SignOff.Decision.CONDITIONAL
        return ConditionOut(signoff.conditions.all(), many=True).data if conditional else []


class NameOut(serializers.Serializer[Any]):
    """A name for a mark: `name:` and the SHA-256 of salt and name. Without a salt the name is a leaver's pseudonym."""

    mark = serializers.CharField()
    account = serializers.IntegerField()
    name = serializers.CharField()
    salt = serializers.CharField()


class SignOffProofOut(SignOffOut):
    """One signature with what proves it."""

    envelope = serializers.JSONField(help_text="The statement in a DSSE envelope.")
    verified = serializers.ChoiceField(choices=["verified", "compromised", "unsigned", "wrong"], source="verdict.state")
    verified_words = serializers.CharField(source="verdict.words")
    names = NameOut(many=True, help_text="Whom the marks in the statement stand for.")


class TestOut(serializers.ModelSerializer[PromotionTest]):
    class Meta:
        model = PromotionTest
        fields = (
            "kind",
            "verdict",
            "summary",
            "figures",
            "thresholds",
            "log",
            "seconds",
            "version_digest",
            "worker",
            "sandbox",
            "finished_at",
        )


class JobOut(serializers.ModelSerializer[Job]):
    result = TestOut(allow_null=True, default=None)

    class Meta:
        model = Job
        fields = (
            "id",
            "gate",
            "purpose",
            "state",
            "attempts",
            "progress",
            "error",
            "queued_at",
            "claimed_at",
            "ended_at",
            "result",
        )


class DecisionOut(serializers.ModelSerializer[Decision]):
    class Meta:
        model = Decision
        fields = ("gate", "taken_by", "opened", "facts", "result", "decided_at")


class ChangeKindOut(serializers.Serializer[Any]):
    kind = serializers.CharField(
        help_text="full; or standard, or retrain: then only those sign whom the policy names for that."
    )
    reasons = serializers.ListField(child=serializers.CharField(), help_text="Why it is of that kind, in words.")
    to_be_measured = serializers.BooleanField(source="open_", help_text="Whether its metrics decide still.")


class HandoffDetailOut(HandoffOut):
    """One handoff whole: gates with what is missing and who can clear it, answers, signatures, work."""

    report = serializers.SerializerMethodField(help_text="With names where what is signed has marks.")
    gates = GateOut(many=True, source="view.gates")
    missing = serializers.DictField(child=serializers.CharField(), source="view.offer.missing", default=dict)
    answers = serializers.SerializerMethodField()
    signoffs = SignOffOut(many=True, source="view.signoffs")
    jobs = JobOut(many=True, source="view.jobs")
    return_note = ReturnOut(allow_null=True, default=None)
    consumers = AskedConsumerOut(many=True, source="view.consumers")
    kept_years = serializers.IntegerField(help_text="For how many years its records are kept once it has ended.")
    kept_until = serializers.DateField(allow_null=True, help_text="Until when, once it has ended.")
    break_glass = BreakGlassOut(many=True, source="view.break_glass")
    change = ChangeKindOut(
        allow_null=True,
        source="view.change",
        help_text="Of which kind the change is; null where the policy knows one.",
    )

    class Meta(HandoffOut.Meta):
        fields = (  # type: ignore[assignment]
            *HandoffOut.Meta.fields, "report", "gates", "missing", "answers", "signoffs", "jobs", "return_note",
            "consumers", "kept_years", "kept_until", "break_glass", "change",
        )  # fmt: skip

    @extend_schema_field(OpenApiTypes.ANY)
    def get_report(self, handoff: Any) -> Any:
        """Return the report that was frozen, as people read it."""
        return named(handoff.report)

    @extend_schema_field(AnswerOut(many=True))
    def get_answers(self, handoff: Any) -> Any:
        """Return the answers that count, one an item."""
        return AnswerOut(list(handoff.view.answers.values()), many=True).data


class SheetChangeOut(serializers.Serializer[Any]):
    part = serializers.CharField()
    what = serializers.CharField(help_text="The question, the line of the report, or what else changed.")
    before = serializers.CharField()
    after = serializers.CharField()
    who = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)


class SheetOut(serializers.Serializer[Any]):
    handoff = serializers.UUIDField(source="handoff.pk")
    gate = serializers.CharField()
    requirement = serializers.CharField(source="rule.key")
    role = serializers.CharField(help_text="The role in which you would sign.")
    meaning = serializers.CharField(source="rule.meaning")
    words = serializers.CharField(source="rule.help")
    parts = serializers.SerializerMethodField()
    seen = serializers.CharField(help_text="Send this back with the signature.")
    barred = serializers.ListField(child=serializers.CharField(), help_text="Why you may not sign; empty if you may.")
    changed = serializers.ListField(child=serializers.CharField(), help_text="What changed since you last signed here.")
    changes = SheetChangeOut(many=True, help_text="The same, before and after.")
    consumers = AskedConsumerOut(many=True, help_text="Those that you answer for, and what changes for them.")

    def get_parts(self, sheet: Any) -> list[dict[str, str]]:
        """Return what is covered, each with its words and its digest."""
        return [{"name": name, "words": words, "digest": digest} for name, words, digest in sheet.parts]


class TaskOut(serializers.Serializer[Any]):
    kind = serializers.CharField(source="task.kind")
    key = serializers.CharField(source="task.key")
    title = serializers.CharField(source="task.title")
    gate = serializers.CharField(source="task.gate")
    handoff = serializers.UUIDField(source="task.handoff.pk")
    model = serializers.CharField(source="task.handoff.model.slug")
    due = serializers.DateTimeField(allow_null=True)
    overdue = serializers.BooleanField()
    note = serializers.CharField(source="task.note")


class InboxQuery(serializers.Serializer[Any]):
    after = serializers.UUIDField(required=False)


class InboxOut(serializers.Serializer[Any]):
    """A page of what waits for whoever asks, the overdue and the soonest due first."""

    next = serializers.URLField(allow_null=True)
    results = TaskOut(many=True)


class OwnerOut(serializers.Serializer[Any]):
    """Who answered: for a model with the version that was live, or for an environment, without both."""

    person = PersonOut()
    organisation = serializers.SerializerMethodField()
    environment = serializers.CharField(source="environment.slug")
    model = serializers.CharField(source="model.slug", allow_null=True, default=None)
    version = serializers.IntegerField(source="deployment.version.number", allow_null=True, default=None)
    deployment = serializers.UUIDField(source="deployment_id", allow_null=True, default=None)
    since = serializers.DateTimeField(source="period.lower")
    until = serializers.DateTimeField(source="period.upper", allow_null=True)

    def get_organisation(self, owner: OwnerOfRecord | EnvironmentOwner) -> str:
        """Return the organisation that the person answered for."""
        party = owner.organisation if isinstance(owner, OwnerOfRecord) else owner.environment.organisation
        return party.slug


class LackOut(serializers.Serializer[Any]):
    gate = serializers.CharField()
    kind = serializers.CharField(help_text="signoff, answer, score, fact or test.")
    key = serializers.CharField()
    title = serializers.CharField()
    why = serializers.CharField()
    who = serializers.ListField(child=serializers.CharField(), help_text="Who could renew it.")


class WayBackOut(serializers.Serializer[Any]):
    deployment = serializers.UUIDField(allow_null=True, help_text="Null where there is nothing to go back to.")
    handoff = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)
    stands = serializers.BooleanField(help_text="Whether it stands approved, so that one may go back to it.")
    until = serializers.DateTimeField(allow_null=True, help_text="Until when it stands; null without a limit.")
    ends_first = serializers.CharField(help_text="What of its approval ends first.")
    missing = LackOut(many=True)
    break_glass_allowed = serializers.BooleanField(help_text="Whether its policy knows break-glass.")
    break_glass_until = serializers.DateTimeField(
        allow_null=True, help_text="Until when a break-glass is in force for going back to it."
    )


class DeploymentOut(serializers.ModelSerializer[Deployment]):
    model = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    version = serializers.IntegerField(source="version.number")
    environment = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    handoff = serializers.UUIDField(source="handoff_id")
    rollback_of = serializers.UUIDField(source="rollback_of_id", allow_null=True)
    next_run_at = serializers.SerializerMethodField()
    bindings = serializers.DictField(help_text="Those in force: as handed over, or as amendments left them.")
    suspended_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when it is stopped; its suspensions tell by whom, and why."
    )
    by_break_glass = serializers.BooleanField(help_text="Whether it was deployed before all had signed.")
    watch = WatchOut(allow_null=True, help_text="What its engine has counted; null before a worker has asked.")

    class Meta:
        model = Deployment
        fields = (
            "id",
            "handoff",
            "model",
            "version",
            "environment",
            "slot",
            "order",
            "digest",
            "state",
            "rollback_of",
            "rests_on",
            "by_break_glass",
            "bindings",
            "ordered_by",
            "reason",
            "log",
            "run",
            "next_run_at",
            "ordered_at",
            "live_at",
            "ended_at",
            "suspended_at",
            "watch",
        )

    def get_next_run_at(self, deployment: Deployment) -> datetime | None:
        """Return when the next run of a live batch is due by its schedule."""
        return next_due(deployment)
