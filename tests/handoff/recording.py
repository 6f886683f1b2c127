"""Write one row of everything that the admin shows, as it stands after a handoff has gone all its way."""

from datetime import timedelta
from hashlib import sha256
from typing import Any

import pgtrigger
from django.contrib.auth.models import Group, Permission
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils import timezone

from audit import signing
from audit.models import Account
from handoff.models import (
    Acknowledgement,
    Adoption,
    Amendment,
    AmendmentSignOff,
    Answer,
    AskedConsumer,
    BreakGlass,
    ChecklistTemplateRevision,
    Decision,
    Deployment,
    Evidence,
    Finding,
    Handoff,
    Job,
    OwnerOfRecord,
    Policy,
    PolicyRevision,
    PromotionTest,
    Reauthentication,
    Reconciliation,
    Replay,
    Retirement,
    Return,
    Run,
    SignOff,
    StandardChange,
    Suspension,
    Waiver,
)
from handoff.rules.checklist_templates import read_template
from models_registry.models import (
    Consumer,
    Delegation,
    DutyRevision,
    Element,
    Environment,
    EnvironmentGroupGrant,
    EnvironmentOwner,
    EnvironmentProfile,
    EnvironmentUserGrant,
    ImportException,
    ModelVersion,
    Organisation,
    OrganisationGroupGrant,
    OrganisationUserGrant,
    RaciEntry,
    RaciRevision,
    RegisteredModelGroupGrant,
    RegisteredModelUserGrant,
    Stream,
)
from models_registry.rules.raci import USUAL, read
from models_registry.store import keep_bytes
from tests.handoff import building
from tests.handoff.authenticator import registered
from tests.handoff.building import Place


def one_of_each(reader: Account, number: int) -> Handoff:
    """Write a model, an environment, their people, and a returned handoff with all that belongs to it."""
    place = building.a_place(f"model-{number}")
    somebody = Account.objects.create(username=f"person-{number}")
    group = Group.objects.create(name=f"group-{number}")
    organisation = Organisation.objects.create(slug=f"party-{number}", name=f"Party {number}")
    place.target = Environment.objects.create(
        slug=f"place-{number}",
        name=f"Place {number}",
        kind="production",
        organisation=organisation,
        owner=somebody,
        python="3.11.7",
    )
    building._grant(RegisteredModelUserGrant, reader, "risk_compliance", place.model)
    building._grant(EnvironmentUserGrant, somebody, "it_operations", place.target)
    building._grant(EnvironmentUserGrant, reader, "analytic_engineer", place.target)
    now = timezone.now()
    Reconciliation.objects.create(environment=place.target, asked_at=now, silent_since=now, error="It is down.")
    for table, thing in ((RegisteredModelGroupGrant, place.model), (EnvironmentGroupGrant, place.target)):
        hold = Permission.objects.get(codename="hold_administrator", content_type__model=thing._meta.model_name)
        table._default_manager.create(group=group, permission=hold, content_object=thing)
    building._grant(OrganisationUserGrant, somebody, "administrator", organisation)
    hold = Permission.objects.get(codename="hold_administrator", content_type__model="organisation")
    OrganisationGroupGrant.objects.create(group=group, permission=hold, content_object=organisation)
    _duties(number, somebody)
    _checklist(number, somebody)
    ends = timezone.now() + timedelta(days=1)
    told = {"role": "it_operations", "environment": place.target, "reason": "On leave.", "ends_at": ends}
    Delegation.objects.create(delegator=somebody, delegate=place.iris, **told)
    Account.objects.create(username=f"second-{number}", same_person=somebody)
    gone = Account.objects.create(username=f"left-{number}", is_active=False)
    names = {"first_name": "Person", "last_name": f"{number:08x} (left)", "name_salt": ""}
    Account.objects.filter(pk=gone.pk).update(**names, pseudonymised_at=timezone.now())
    Account.objects.create(username=f"leaving-{number}")
    Account.objects.filter(username=f"leaving-{number}").update(is_active=False)
    registered(somebody)
    _runs_there(place.target, somebody)
    handoff = _handoff(place, number, somebody)
    _review(handoff, somebody)
    _work(handoff, number, somebody, organisation)
    return handoff


def _duties(number: int, somebody: Account) -> None:
    """Write what a role answers for, and a whole matrix."""
    told = {"number": number + 1, "reason": "As agreed.", "published_by": somebody}
    DutyRevision.objects.create(role="validator", text="I check.", digest="0" * 64, **told)
    raci = RaciRevision.objects.create(source="[]", **told)
    RaciEntry.objects.bulk_create(
        RaciEntry(revision=raci, activity=one.activity, kind=one.kind, role=one.role, letter=one.letter)
        for one in read(USUAL)
        if one.letter == "accountable"
    )


def _runs_there(target: Environment, somebody: Account) -> None:
    """Write a profile of an environment, and a sink that feeds a consumer."""
    EnvironmentOwner.objects.create(
        environment=target, person=somebody, period=DateTimeTZRange(timezone.now(), None, "[)")
    )
    EnvironmentProfile.objects.create(
        environment=target,
        number=1,
        captured_at=timezone.now(),
        reported_by=somebody,
        content=building.a_profile(),
        digest="0" * 64,
    )
    ImportException.objects.create(
        environment=target, library="torch", version="2.5.0", reason="The weights need it.", asked_by=somebody
    )
    sink = Stream.objects.create(
        environment=target,
        slug="scores",
        direction="sink",
        descriptor={"transport": "discard"},
        digest="0" * 64,
        owner=somebody,
    )
    told = {"purpose": "Who is seen first.", "effect": "Patients wait.", "owner": somebody}
    Consumer.objects.create(stream=sink, name="Ward board", kind="dashboard", criticality="high", **told)


def _checklist(number: int, somebody: Account) -> None:
    """Write a checklist of the site's own."""
    item = "{key: first, question: Is it so, role: data_scientist, reference: Rule 1}"
    source = f"{{template: ours-{number}, title: Ours, about: Tests, source: Us, items: [{item}]}}"
    digest = read_template(source).digest
    told = {"title": "Ours", "source": source, "digest": digest, "published_by": somebody}
    ChecklistTemplateRevision.objects.create(key=f"ours-{number}", number=1, **told)


def _handoff(place: Place, number: int, somebody: Account) -> Handoff:
    policy = Policy.objects.create(slug=f"policy-{number}", title=f"Policy {number}")
    content = building.a_policy().content
    revision = PolicyRevision.objects.create(
        policy=policy, number=1, source="{}", content=content, digest="0" * 64, published_by=somebody
    )
    handoff = building.offered(place, _version(place), revision)
    Handoff.objects.filter(pk=handoff.pk).update(state="returned")
    Return.objects.create(handoff=handoff, reasons=["cost"], comment="Too dear.", returned_by=somebody)
    handoff.refresh_from_db()
    return handoff


def _version(place: Place) -> ModelVersion:
    """Write a sealed version with one small element."""
    version = ModelVersion.objects.create(model=place.model, number=1, format="onnx", created_by=place.dana)
    blob = keep_bytes(b"{}")
    Element.objects.create(
        version=version, name="runtime", blob=blob, filename="runtime.json", text="{}", set_by=place.dana
    )
    version.manifest, version.digest = "{}", sha256(place.model.slug.encode()).hexdigest()
    version.state, version.nominated_by, version.nominated_at = "nominated", place.dana, timezone.now()
    version.save()
    return version


def _review(handoff: Handoff, somebody: Account) -> None:
    answer = Answer.objects.create(handoff=handoff, item="purpose", choice="yes", answered_by=handoff.drafted_by)
    Evidence.objects.create(answer=answer, kind="link", label="Card", link="https://example.org/card")
    Acknowledgement.objects.create(handoff=handoff, difference="tools.hardware", acknowledged_by=somebody)
    now = timezone.now()
    proof = Reauthentication.objects.create(person=somebody, method="password", expires_at=now)
    SignOff.objects.create(
        handoff=handoff,
        gate="review",
        requirement="validation",
        role="validator",
        signer=somebody,
        printed_name=somebody.printed_name,
        decision="refuse",
        meaning="review",
        comment="Too dear.",
        scope={},
        scope_digest="0" * 64,
        statement="{}",
        statement_digest=sha256(str(handoff.pk).encode()).hexdigest(),
        key=signing.sign("text/plain", b"")[1],
        signature="0",
        reauthentication=proof,
        signed_at=now,
    )
    Adoption.objects.create(
        handoff=handoff, before={}, from_digest="0" * 64, to_digest="1" * 64, role="validator", adopted_by=somebody,
        printed_name=somebody.printed_name, reason="A new rule.", statement="{}",
        statement_digest=sha256(f"adoption {handoff.pk}".encode()).hexdigest(), key=signing.sign("text/plain", b"")[1],
        signature="0",
        reauthentication=Reauthentication.objects.create(person=somebody, method="password", expires_at=now),
    )  # fmt: skip
    Finding.objects.create(
        handoff=handoff, items={"tools.python": "Moved."}, severity="high", suspends=True, due_at=now
    )
    told = {"reason": "No time.", "control": "Somebody watches.", "until": timezone.localdate()}
    Waiver.objects.create(handoff=handoff, kind="item", requirement="purpose", asked_by=somebody, **told)
    told = {"reason": "It is down.", "incident": "INC-7", "gate": "review", "confirm_by": timezone.now()}
    BreakGlass.objects.create(handoff=handoff, asked_by=somebody, **told)
    Decision.objects.create(handoff=handoff, gate="review", taken_by="Vera", opened=True, facts={}, result={})
    consumer = Consumer.objects.get(stream__environment=handoff.target)
    change = {"field": "label", "kind": "widening", "reason": "2 may come now."}
    AskedConsumer.objects.create(
        handoff=handoff, consumer=consumer, number=1, owner=somebody, fields=[], live=handoff.version,
        compatibility="widening", changes=[change],
    )  # fmt: skip


def _work(handoff: Handoff, number: int, somebody: Account, organisation: Organisation) -> None:
    now = timezone.now()
    job = Job.objects.create(
        handoff=handoff,
        gate="review",
        purpose="test:golden",
        queue="tests",
        task="handoff.run_test",
        state="done",
        ended_at=now,
    )
    PromotionTest.objects.create(
        job=job,
        handoff=handoff,
        kind="golden",
        verdict="passed",
        summary="Well.",
        figures={},
        thresholds={},
        seconds=1.0,
        fence=1,
        version_digest=handoff.version.digest,
        worker="tester",
    )
    side = {"stream": "patients", "environment": "production", "digest": "0" * 64, "descriptor": {}}
    Replay.objects.create(
        handoff=handoff,
        number=1,
        job=job,
        version_digest=handoff.version.digest,
        creation=side,
        production=side,
        ordered_by=somebody,
        outcome="failed",
        error="target_missing: There is no file.",
        ended_at=now,
    )
    common: dict[str, Any] = {"model": handoff.model, "environment": handoff.target}
    deployment = Deployment.objects.create(
        handoff=handoff,
        version=handoff.version,
        order=number + 1,
        digest=handoff.version.digest,
        state="live",
        ordered_by="worker",
        live_at=now,
        **common,
    )
    Run.objects.create(
        deployment=deployment, number=1, cause="schedule", due_at=now, state="skipped", why="It was late.", ended_at=now
    )
    stop = {"suspended_by": somebody, "reason": "It is wrong.", "ending": "superseded", "ended_at": now}
    Suspension.objects.create(deployment=deployment, order=number + 1, **stop)
    proof = Reauthentication.objects.create(person=somebody, method="password", expires_at=now)
    ended = {"ending": "superseded", "ended_at": now, "ended_by": "worker", "reauthentication": proof}
    told = {"kind": "standard", "number": 1, "complete": False, "reasons": ["It is small."]}
    with pgtrigger.ignore("handoff.StandardChange:over_what_is_live", "handoff.StandardChange:kind_of_its_policy"):
        before = Deployment.objects.create(
            handoff=handoff, version=handoff.version, order=number + 1000, digest=handoff.version.digest,
            state="superseded", ordered_by="worker", **common,
        )  # fmt: skip
        StandardChange.objects.create(
            handoff=handoff, deployment=deployment, compared_with=before, reviewed=before, **told
        )
    Retirement.objects.create(deployment=deployment, planned_by=somebody, reason="Old.", due_at=now, **ended)
    Deployment.objects.filter(pk=deployment.pk).update(state="superseded")
    _amendment(deployment, somebody)
    period = (now, now + timedelta(days=1))
    OwnerOfRecord.objects.create(
        organisation=organisation, person=somebody, deployment=deployment, period=period, **common
    )


def _amendment(deployment: Deployment, somebody: Account) -> None:
    """Write an amendment that was refused, with the signature that did so."""
    now = timezone.now()
    change = {"kind": "sink_added", "part": "outputs", "what": "archive", "before": "nothing", "after": "all fields"}
    amendment = Amendment.objects.create(
        deployment=deployment, number=1, reason="The archive wants them.", before={}, bindings={}, changes=[change],
        requirements=[{"key": "integration-owner", "role": "integration_owner", "meaning": "approval"}],
        proposed_by=somebody, expires_at=now, state="refused", because="Too dear.", ended_at=now,
    )  # fmt: skip
    proof = Reauthentication.objects.create(person=somebody, method="password", expires_at=now)
    AmendmentSignOff.objects.create(
        amendment=amendment, requirement="integration-owner", role="integration_owner", signer=somebody,
        printed_name=somebody.printed_name, decision="refuse", meaning="approval", comment="Too dear.", scope={},
        scope_digest="0" * 64, statement="{}", statement_digest=sha256(str(amendment.pk).encode()).hexdigest(),
        key=signing.sign("text/plain", b"")[1], signature="0", reauthentication=proof, signed_at=now,
    )  # fmt: skip
