"""Acts in the admin: each asks first, goes through its service, and is on record; what is refused changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from audit.models import Account, AuditEvent
from handoff import queue
from handoff.models import Deployment, Handoff, Job, SignOff
from handoff.plans import DeployReport
from handoff.services import deployments, jobs
from handoff.states import DeploymentState, JobState, State
from models_registry.models import Environment, EnvironmentGroupGrant, ModelVersion, RegisteredModelUserGrant
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import client_of

WHY = "It was a mistake."


@pytest.fixture
def site(transactional_db: None, store: Any, settings: Any) -> Place:
    """Return a place where everybody is staff: rights come from roles alone. Transactions are real."""
    settings.ENGINE_URLS = {"production": "http://127.0.0.1:9"}
    place = walking.a_site()
    Account.objects.update(is_staff=True)
    for account in place.people.values():
        account.refresh_from_db()
    return place


def listed(record: Any) -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_changelist")


def page_of(record: Any) -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_change", args=[record.pk])


def offered_on(client: Client, record: Any) -> list[str]:
    """Return the acts that a record's page offers."""
    return [act.name for act in client.get(page_of(record)).context["acts"]]


def asked(client: Client, action: str, *records: Any, **more: str) -> Any:
    body = {"action": action, "_selected_action": [str(one.pk) for one in records], **more}
    return client.post(listed(records[0]), body)


def done(client: Client, action: str, *records: Any, reason: str = WHY, **more: str) -> str:
    """Do it after asking, and return what the next page says."""
    answer = asked(client, action, *records, confirmed="yes", reason=reason, **more)
    assert answer.status_code == 302, answer.content.decode()
    return " ".join(str(one) for one in client.get(answer["Location"]).context["messages"])


def told(action: str) -> tuple[str, str, str]:
    """Return who did something, by which door, and why."""
    said = AuditEvent.objects.filter(action=action).latest("pk").told
    return said["actor"]["label"], said["actor"]["via"], said["reason"]


def unreachable(handoff: Handoff) -> Handoff:
    """Let a worker find that the engine cannot be reached, so that the handoff is ready again."""
    report = DeployReport(False, "The engine cannot be reached.", (), "unreachable")
    return worked(handoff, report)


def worked(handoff: Handoff, report: DeployReport) -> Handoff:
    """Let a worker report what became of the order."""
    job = handoff.jobs.get(task=queue.DEPLOY, state=JobState.QUEUED)
    claimed = jobs.claim(job.pk, "deployer", task=queue.DEPLOY)
    assert claimed is not None
    assert deployments.begin(claimed.pk, claimed.fence) is not None
    deployments.finish(claimed.pk, claimed.fence, report, actor=building.Worker("deployer"))
    handoff.refresh_from_db()
    return handoff


def released(site: Place, number: int = 1, quality: str = "good") -> Handoff:
    """Return a handoff with an order that no worker has taken yet, between environments that differ in nothing."""
    Environment.objects.filter(pk=site.target.pk).update(hardware="")
    version = building.a_version(site, number, quality)
    handoff = building.offered(site, version, building.a_policy(("integrity",)))
    return building.open_release(site, building.tested(building.open_review(site, handoff)))


def live(site: Place, number: int, quality: str = "good") -> Deployment:
    """Return a live deployment."""
    return worked(released(site, number, quality), DeployReport(True, "It serves.", ())).deployments.get()


def test_a_draft_is_offered(site: Place) -> None:
    handoff = walking.drafted(site)
    dana = client_of(site.dana)
    assert offered_on(dana, handoff) == ["offer", "withdraw"]
    assert "freezes the policy" in asked(dana, "offer", handoff).content.decode()
    handoff.refresh_from_db()
    assert handoff.state == State.DRAFT  # asking is not doing
    assert "done" in done(dana, "offer", handoff)
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW
    assert told("handoff.offered") == ("Dana", "admin", "")


def test_an_offer_that_is_not_ready_is_refused_with_what_is_missing(site: Place) -> None:
    handoff = walking.drafted(site)
    building.ended(RegisteredModelUserGrant, user=site.vera)
    events = AuditEvent.objects.count()
    assert "not ready to be offered" in done(client_of(site.dana), "offer", handoff)
    handoff.refresh_from_db()
    assert (handoff.state, handoff.policy, AuditEvent.objects.count()) == (State.DRAFT, None, events)


def test_a_handoff_is_withdrawn_with_its_work(site: Place) -> None:
    handoff = walking.under_test(site)
    dana = client_of(site.dana)
    answer = asked(dana, "withdraw", handoff, confirmed="yes", reason="  \x00")
    assert "Nothing was done" in answer.content.decode()
    assert handoff.jobs.filter(state=JobState.QUEUED).exists()
    assert "done" in done(dana, "withdraw", handoff, from_page="yes")
    handoff.refresh_from_db()
    assert handoff.state == State.WITHDRAWN
    assert {job.state for job in handoff.jobs.all()} == {JobState.CANCELLED}
    assert told("handoff.withdrawn") == ("Dana", "admin", WHY)
    assert offered_on(dana, handoff) == []


def test_one_of_two_is_refused_and_the_other_done(site: Place) -> None:
    first = walking.offered(site)
    second = walking.drafted(site, building.a_version(site, 2))
    dana = client_of(site.dana)
    done(dana, "withdraw", first)
    words = done(dana, "withdraw", first, second)
    assert "#1: A handoff that is withdrawn cannot be withdrawn." in words
    assert "#2: done" in words
    second.refresh_from_db()
    assert second.state == State.WITHDRAWN
    assert AuditEvent.objects.filter(action="handoff.withdrawn").count() == 2


@pytest.mark.parametrize("superuser", [False, True])
def test_whoever_lacks_the_role_is_not_offered_the_act_and_cannot_force_it(superuser: bool, site: Place) -> None:
    handoff = walking.offered(site)
    Account.objects.filter(pk=site.otto.pk).update(is_superuser=superuser)
    events = AuditEvent.objects.count()
    otto = client_of(site.otto)
    assert offered_on(otto, handoff) == []
    asked(otto, "withdraw", handoff, confirmed="yes", reason=WHY)
    mallory = client_of(site.mallory)
    assert mallory.get(page_of(handoff)).status_code == 302
    asked(mallory, "withdraw", handoff, confirmed="yes", reason=WHY)
    handoff.refresh_from_db()
    assert (handoff.state, AuditEvent.objects.count()) == (State.IN_REVIEW, events)


def test_a_role_elsewhere_does_not_reach_here(site: Place) -> None:
    handoff = walking.offered(site)
    other = building.a_place("warts").model
    building._grant(RegisteredModelUserGrant, site.otto, "data_scientist", other)
    events = AuditEvent.objects.count()
    words = done(client_of(site.otto), "withdraw", handoff)
    assert "You do not hold the role Data scientist here" in words
    handoff.refresh_from_db()
    assert (handoff.state, AuditEvent.objects.count()) == (State.IN_REVIEW, events)


@pytest.mark.parametrize("through", ["the handoff", "its job"])
def test_a_deployment_is_ordered_again(through: str, site: Place) -> None:
    handoff = unreachable(released(site))
    record: Any = handoff if through == "the handoff" else handoff.jobs.get(task=queue.DEPLOY)
    otto = client_of(site.otto)
    assert "deploy_again" in offered_on(otto, record)
    assert "deploy_again" not in offered_on(client_of(site.vera), record)
    assert "done" in done(otto, "deploy_again", record)
    handoff.refresh_from_db()
    assert handoff.state == State.DEPLOYING
    assert told("job.queued")[:2] == ("Otto", "admin")
    events, work = AuditEvent.objects.count(), Job.objects.count()
    assert "cannot be deployed again" in done(otto, "deploy_again", record)
    assert (AuditEvent.objects.count(), Job.objects.count()) == (events, work)


def test_a_live_deployment_is_rolled_back(site: Place) -> None:
    first, second = live(site, 1), live(site, 2, "other")
    first.refresh_from_db()
    assert (first.state, second.state) == (DeploymentState.SUPERSEDED, DeploymentState.LIVE)
    otto = client_of(site.otto)
    assert (offered_on(otto, second), offered_on(otto, first)) == (["roll_back", "suspend"], [])
    words = done(otto, "roll_back", second, first)
    assert "done" in words
    assert "A deployment that is superseded cannot be rolled back." in words
    order = Deployment.objects.get(rollback_of=second)
    assert (order.version, order.reason) == (first.version, WHY)
    assert second.handoff.jobs.filter(task=queue.ROLL_BACK, state=JobState.QUEUED).count() == 1
    assert told("deployment.ordered") == ("Otto", "admin", WHY)


def test_a_first_deployment_has_nothing_to_go_back_to(site: Place) -> None:
    only = live(site, 1)
    events = AuditEvent.objects.count()
    assert "nothing to go back to" in done(client_of(site.otto), "roll_back", only)
    assert (Deployment.objects.count(), AuditEvent.objects.count()) == (1, events)


def test_a_signer_withdraws_their_own_sign_off_and_nobody_elses(site: Place) -> None:
    handoff = walking.answered(site)
    signed = walking.sign(handoff, site.vera, "validation")
    events = AuditEvent.objects.count()
    otto = client_of(site.otto)
    assert offered_on(otto, signed) == []
    asked(otto, "withdraw", signed, confirmed="yes", reason=WHY)
    second = walking.answered(site, walking.offered(site, building.a_version(site, 2)))
    other = walking.sign(second, site.otto, "acceptance")
    assert "Only the signer takes a sign-off back" in done(otto, "withdraw", signed)
    signed.refresh_from_db()
    assert signed.voided_at is None
    assert not AuditEvent.objects.filter(action="signoff.withdrawn").exists()
    assert AuditEvent.objects.count() > events  # of the second signature alone
    vera = client_of(site.vera)
    assert offered_on(vera, signed) == ["withdraw"]
    assert "done" in done(vera, "withdraw", signed)
    signed.refresh_from_db()
    assert WHY in signed.voided_because
    assert told("signoff.withdrawn")[:2] == ("Vera", "admin")
    assert SignOff.objects.get(pk=other.pk).voided_at is None


def test_nothing_in_the_admin_signs_or_answers(site: Place) -> None:
    handoff = walking.answered(site)
    vera = client_of(site.vera)
    page = vera.get(page_of(handoff)).content.decode()
    assert reverse("handoff", args=[handoff.pk]) in page
    for action in ("sign", "approve", "answer", "acknowledge"):
        asked(vera, action, handoff, confirmed="yes", reason=WHY)
    assert not SignOff.objects.exists()


def test_a_group_that_holds_the_role_is_offered_it_too(site: Place) -> None:
    only = live(site, 1)
    night = Group.objects.create(name="night shift")
    site.edda.groups.add(night)
    hold = building.Permission.objects.get(codename="hold_it_operations", content_type__model="environment")
    EnvironmentGroupGrant.objects.create(group=night, permission=hold, content_object=site.target)
    assert offered_on(client_of(site.edda), only) == ["roll_back", "suspend"]


def test_too_many_at_once_are_refused_whole(site: Place, make_drafts: Callable[[int], list[ModelVersion]]) -> None:
    drafts = make_drafts(101)
    dana = client_of(site.dana)
    answer = asked(dana, "discard", *drafts[:1], select_across="1", confirmed="yes", reason=WHY)
    assert answer.status_code == 302
    assert "at most 100" in " ".join(str(one) for one in dana.get(answer["Location"]).context["messages"])
    assert {one.state for one in ModelVersion.objects.all()} == {"draft"}


@pytest.fixture
def make_drafts(site: Place) -> Callable[[int], list[ModelVersion]]:
    """Return a function that writes empty drafts."""

    def make(count: int) -> list[ModelVersion]:
        return ModelVersion.objects.bulk_create(
            ModelVersion(model=site.model, number=number, created_by=site.dana) for number in range(1, count + 1)
        )

    return make
