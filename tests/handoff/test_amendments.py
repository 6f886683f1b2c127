"""Amendments of what is live: who proposes and signs, what is refused, what is in force then, through each door."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import orjson
import pgtrigger
import pytest
from django.db import IntegrityError, transaction
from django.db.utils import DatabaseError
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person, ServiceAccount, Worker
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff import queue, tasks
from handoff.connections import changed_since, connected
from handoff.in_force import bindings_of, bound_to
from handoff.models import Amendment, AmendmentSignOff, Deployment, Handoff, Job, SignOff
from handoff.plans import AmendReport
from handoff.queries.amendments import listed
from handoff.readiness import moved_since
from handoff.rules.policies import parse
from handoff.services import amendments, applying, findings, jobs, runs, signoffs
from handoff.states import JobState
from models_registry.models import Consumer, EnvironmentUserGrant, Stream
from models_registry.services import consumers, streams
from tests.handoff import amending, batching, building, walking
from tests.handoff.amending import BOARD, live, proof, proposed, sign, signature, streamed, work
from tests.handoff.building import Place

pytestmark = pytest.mark.django_db
TWO = [{"stream": "scores"}, {"stream": "archive"}]
REPORT = {**BOARD, "name": "Week in figures", "kind": "report", "fields": ["label"]}


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a place with streams, whose people have passwords."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return streamed(building.a_place())


@pytest.fixture
def deployment(place: Place) -> Deployment:
    """Return what is live over patients, into scores."""
    return live(place)


def counts() -> tuple[int, ...]:
    """Return how many rows there are of all that amendments write."""
    events = AuditEvent.objects.exclude(chain__startswith="account:").exclude(chain="sign-ins").count()
    return (events, *(t.objects.count() for t in (Amendment, AmendmentSignOff, Job, Consumer)))


def api(who: Account) -> APIClient:
    client = APIClient()
    client.force_authenticate(who)
    return client


# Proposing


def propose_by_service(deployment: Deployment, who: Account, sinks: list[dict[str, Any]]) -> int:
    try:
        proposed(deployment, who, sinks=sinks)
    except Refused as refusal:
        return refusal.status
    return 200


def propose_by_api(deployment: Deployment, who: Account, sinks: list[dict[str, Any]]) -> int:
    body = {"reason": "The archive wants them.", "sinks": sinks}
    status = api(who).post(f"/api/v1/deployments/{deployment.pk}/amendments/", body, format="json").status_code
    return 200 if status == 201 else int(status)


def propose_by_page(deployment: Deployment, who: Account, sinks: list[dict[str, Any]]) -> int:
    lines = [f"{one['stream']}: {', '.join(one.get('fields', []))}" for one in sinks]
    typed = {"reason": "The archive wants them.", "input_stream": "patients", "output_streams": "\r\n".join(lines)}
    status = walking.client_of(who).post(f"/deployments/{deployment.pk}/amendments/new/", typed).status_code
    return 200 if status == 303 else int(status)


PROPOSING = pytest.mark.parametrize("door", [propose_by_service, propose_by_api, propose_by_page])
Propose = Callable[[Deployment, Account, list[dict[str, Any]]], int]


@PROPOSING
@pytest.mark.parametrize(("who", "expected"), [("iris", 200), ("otto", 200), ("dana", 200), ("mallory", 404)])
def test_whoever_holds_a_role_on_the_handoff_proposes(
    place: Place, deployment: Deployment, door: Propose, who: str, expected: int
) -> None:
    before = counts()
    assert door(deployment, place.people[who], [*TWO, {"stream": "lake", "fields": ["label"]}]) == expected
    if expected != 200:
        assert counts() == before
        return
    amendment = Amendment.objects.get()
    assert [(one["kind"], one["what"], one["after"]) for one in amendment.changes] == [
        ("sink_added", "archive", "all fields"), ("sink_added", "lake", "label"),
    ]  # fmt: skip
    assert [one["role"] for one in amendment.requirements] == ["integration_owner"]
    assert amendment.bindings["outputs"][1]["digest"] == Stream.objects.get(slug="archive").digest
    assert bindings_of(deployment.handoff) == deployment.handoff.bindings == amendment.before


@PROPOSING
@pytest.mark.parametrize(
    ("sinks", "expected"),
    [
        ([{"stream": "scores"}], 422),  # nothing changes
        ([{"stream": "nowhere"}], 422),
        ([{"stream": "patients"}], 422),  # a source
        ([{"stream": "scores", "fields": ["odd"]}], 422),
        ([], 422),
    ],
)
def test_what_cannot_be_is_not_proposed(
    place: Place, deployment: Deployment, door: Propose, sinks: list[dict[str, Any]], expected: int
) -> None:
    before = counts()
    assert door(deployment, place.iris, sinks) == expected
    assert counts() == before


def test_a_service_account_proposes_and_never_signs(place: Place, deployment: Deployment) -> None:
    robot = Account.objects.create(username="robot", kind="service", responsible=place.iris)
    building._grant(EnvironmentUserGrant, robot, "integration_owner", place.target)
    made = amendments.propose(
        actor=ServiceAccount(robot, "api"), deployment_id=deployment.pk, reason="Nightly.", sinks=TWO
    )
    before = counts()
    answer = api(robot).post(
        f"/api/v1/amendments/{made.pk}/signoffs/", {**signature(made, place.iris), "reauthentication": proof(robot)}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "person_required")
    assert counts() == before


def test_what_a_consumer_uses_is_not_taken_away(place: Place, deployment: Deployment) -> None:
    before = counts()
    probabilities = [{"stream": "scores", "fields": ["probabilities"]}]
    with pytest.raises(Refused) as refused:
        proposed(deployment, place.iris, sinks=probabilities)
    assert refused.value.code == "consumer_depends"
    assert "Ward board uses label" in refused.value.message
    assert counts() == before
    retired = [{"act": "retire", "stream": "scores", "consumer": "Ward board"}]
    assert proposed(deployment, place.iris, sinks=probabilities, consumers=retired).state == "proposed"


def test_a_deployment_that_only_answers_requests_has_nothing_to_amend(place: Place) -> None:
    asked = live(place, bindings={"mode": "request_reply"})
    before = counts()
    with pytest.raises(Refused) as refused:
        proposed(asked, place.iris)
    assert (refused.value.code, counts()) == ("no_streams", before)


def test_another_source_has_the_same_schema_and_wants_the_two_who_run_it(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.iris, source="others")
    assert [one["role"] for one in amendment.requirements] == ["analytic_engineer", "it_operations"]
    with pytest.raises(Refused) as refused:
        sign(amendment, place.iris)
    assert refused.value.code == "role_not_held"
    sign(amendment, place.edda)
    assert not Job.objects.filter(task=queue.AMEND).exists()
    sign(amendment, place.otto)
    assert work(amendment).state == "applied"
    assert bindings_of(Handoff.objects.get())["input"]["stream"] == "others"
    own = orjson.loads(place.model.versions.get().elements.get(name="input_schema").text or "")
    narrow = {**amending.OTHERS, "schema": own}
    streams.declare(
        actor=Person(place.otto, "test"), environment="production", slug="narrow", direction="source",
        descriptor=narrow, owner="otto",
    )  # fmt: skip
    with pytest.raises(Refused) as other:
        proposed(deployment, place.iris, source="narrow")
    assert "another schema" in str(other.value.fields)


def test_two_roles_that_one_person_holds_want_two_people(place: Place, deployment: Deployment) -> None:
    building._grant(EnvironmentUserGrant, place.edda, "it_operations", place.target)
    amendment = proposed(deployment, place.iris, source="others")
    sign(amendment, place.edda)
    before = counts()
    with pytest.raises(Refused) as refused:
        amendments.sign(
            actor=Person(place.edda, "test"), amendment_id=amendment.pk, requirement="it-operations",
            decision="approve", meaning="approval", seen=signature(amendment, place.otto)["seen"],
            reauthentication=proof(place.edda),
        )  # fmt: skip
    assert (refused.value.code, counts()) == ("already_signed", before)


def test_the_policy_names_who_signs_and_an_old_one_means_the_usual(place: Place) -> None:
    content = building.a_policy(("integrity",)).content
    assert parse(content).amendments == {}
    rules = parse({**content, "amendments": {"outputs": ["integration_owner", "model_owner"]}})
    assert rules.amendments == {"outputs": ("model_owner", "integration_owner")}
    for odd in ({"outputs": []}, {"outputs": ["nobody"]}, {"schemas": ["validator"]}, []):
        with pytest.raises(Refused) as refused:
            parse({**content, "amendments": odd})
        assert refused.value.code == "policy_invalid"


# Signing


def sign_by_service(amendment: Amendment, who: Account, **body: Any) -> int:
    try:
        amendments.sign(actor=Person(who, "test"), amendment_id=amendment.pk, reauthentication=proof(who), **body)
    except Refused as refusal:
        return refusal.status
    return 200


def sign_by_api(amendment: Amendment, who: Account, **body: Any) -> int:
    sent = {**body, "reauthentication": proof(who)}
    status = api(who).post(f"/api/v1/amendments/{amendment.pk}/signoffs/", sent, format="json").status_code
    return 200 if status == 201 else int(status)


def sign_by_page(amendment: Amendment, who: Account, **body: Any) -> int:
    sent = {**body, "password": walking.PASSWORD}
    status = walking.client_of(who).post(f"/amendments/{amendment.pk}/sign/", sent).status_code
    return 200 if status == 303 else int(status)


SIGNING = pytest.mark.parametrize("door", [sign_by_service, sign_by_api, sign_by_page])
Sign = Callable[..., int]


@SIGNING
@pytest.mark.parametrize(
    ("who", "change", "expected"),
    [
        ("iris", {}, 200),
        ("otto", {}, 403),
        ("dana", {}, 403),
        ("mallory", {}, 404),
        ("iris", {"seen": "0" * 64}, 409),
        ("iris", {"meaning": "review"}, 422),
        ("iris", {"decision": "refuse"}, 422),
        ("iris", {"requirement": "validator"}, 404),
    ],
)
def test_the_integration_owner_signs_alone_what_they_saw(
    place: Place, deployment: Deployment, door: Sign, who: str, change: dict[str, Any], expected: int
) -> None:
    amendment = proposed(deployment, place.iris)
    body = signature(amendment, place.iris) | change
    before = counts()
    assert door(amendment, place.people[who], **body) == expected
    amendment.refresh_from_db()
    if expected != 200:
        assert counts() == before
        assert amendment.state == "proposed"
        return
    signoff = amendment.signoffs.get()
    assert (amendment.state, signoff.printed_name, signoff.scope_digest) == ("applying", "Iris", body["seen"])
    assert amendment.job is not None
    assert amendment.job.purpose == f"amend:{deployment.order}:1"


@SIGNING
def test_a_refusal_ends_it_and_nothing_changes(place: Place, deployment: Deployment, door: Sign) -> None:
    amendment = proposed(deployment, place.otto)
    body = signature(amendment, place.iris) | {"decision": "refuse", "comment": "The archive is full."}
    assert door(amendment, place.iris, **body) == 200
    amendment.refresh_from_db()
    assert (amendment.state, amendment.because) == ("refused", "The archive is full.")
    assert bindings_of(Handoff.objects.get()) == amendment.before
    with pytest.raises(Refused) as refused:
        sign(amendment, place.iris)
    assert refused.value.code == "amendment_over"


def test_only_who_proposed_it_withdraws_it(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.otto)
    before = counts()
    answer = api(place.iris).post(f"/api/v1/amendments/{amendment.pk}/withdraw/", {"reason": "No."})
    assert (answer.status_code, answer.json()["code"], counts()) == (403, "not_the_proposer", before)
    page = walking.client_of(place.otto).post(f"/amendments/{amendment.pk}/withdraw/", {"reason": "Too early."})
    amendment.refresh_from_db()
    assert (page.status_code, amendment.state, amendment.because) == (303, "withdrawn", "Too early.")


def test_a_statement_is_kept_with_the_bytes_that_hash_to_its_digest(place: Place, deployment: Deployment) -> None:
    signoff = sign(proposed(deployment, place.iris), place.iris)
    assert sha256(signoff.statement.encode()).hexdigest() == signoff.statement_digest
    for change in ({"comment": "later"}, {"decision": "refuse"}):
        with pytest.raises(DatabaseError), transaction.atomic():
            AmendmentSignOff.objects.filter(pk=signoff.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        signoff.delete()


@pytest.mark.parametrize("change", [{"bindings": {}}, {"changes": [1]}, {"reason": "other"}, {"requirements": [1]}])
def test_what_was_proposed_never_changes(place: Place, deployment: Deployment, change: dict[str, Any]) -> None:
    amendment = proposed(deployment, place.iris)
    with pytest.raises(DatabaseError), transaction.atomic():
        Amendment.objects.filter(pk=amendment.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        Amendment.objects.filter(pk=amendment.pk).update(state="applied", ended_at=timezone.now())
    with pytest.raises(DatabaseError), transaction.atomic():
        amendment.delete()


def test_two_are_never_applied_at_once(place: Place, deployment: Deployment) -> None:
    first, second = proposed(deployment, place.iris), proposed(deployment, place.otto, sinks=[{"stream": "lake"}])
    sign(first, place.iris)
    with pytest.raises(Refused) as refused:
        sign(second, place.iris)
    assert refused.value.code == "under_way"
    with pytest.raises(IntegrityError, match="amendment_one_being_applied"), transaction.atomic():
        Amendment.objects.filter(pk=second.pk).update(state="applying", job=Job.objects.exclude(task=queue.AMEND)[0])


# Applying


def test_what_was_signed_is_in_force_everywhere(place: Place, deployment: Deployment) -> None:
    handoff, signed = deployment.handoff, list(SignOff.objects.values_list("pk", "voided_at"))
    added = {"act": "add", "stream": "archive", "values": REPORT}
    amendment = proposed(deployment, place.iris, sinks=TWO, consumers=[added])
    sign(amendment, place.iris)
    assert work(amendment).state == "applied"
    handoff.refresh_from_db()
    assert [one["stream"] for one in handoff.bindings["outputs"]] == ["scores"]  # what was handed over stays
    assert [one["stream"] for one in bindings_of(handoff)["outputs"]] == ["scores", "archive"]
    run = connected(handoff)
    assert run is not None
    assert sorted(run.sinks) == ["archive", "scores"]
    assert list(bound_to(Stream.objects.get(slug="archive"))) == [deployment]
    assert moved_since(handoff) == {}
    assert list(SignOff.objects.values_list("pk", "voided_at")) == signed
    assert Consumer.objects.get(name="Week in figures").stream.slug == "archive"
    told = api(place.dana).get(f"/api/v1/deployments/{deployment.pk}/").json()
    assert [one["stream"] for one in told["bindings"]["outputs"]] == ["scores", "archive"]
    assert "archive" in walking.client_of(place.dana).get(f"/deployments/{deployment.pk}/").content.decode()


def test_data_scientists_are_informed_and_not_asked(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.iris)
    assert [one.task.kind for one in walking.inbox(place.iris)] == ["amend"]
    assert walking.inbox(place.dana) == []
    sign(amendment, place.iris)
    work(amendment)
    assert walking.inbox(place.iris) == []
    page = walking.client_of(place.dana).get("/").content.decode()
    assert "For your information" in page
    assert "amendment\n          1" in page or "amendment 1" in page
    assert "For your information" not in walking.client_of(place.otto).get("/").content.decode()


def test_a_consumer_is_changed_and_retired_by_an_amendment(place: Place, deployment: Deployment) -> None:
    change = {"act": "change", "stream": "scores", "consumer": "Ward board", "values": {"owner": "iris"}}
    amendment = proposed(deployment, place.iris, consumers=[change])
    shown = listed(place.iris).get(pk=amendment.pk)
    assert "dashboard of Otto" in shown.told_changes[0]["before"]
    assert "dashboard of Iris" in shown.told_changes[0]["after"]
    assert (shown.told_consumers[0]["values"], shown.consumers[0]["values"]) == (
        {"owner": "Iris"},
        {"owner": place.iris.mark},
    )
    sign(amendment, place.iris)
    assert work(amendment).state == "applied"
    assert Consumer.objects.get().owner == place.iris
    gone = proposed(deployment, place.iris, consumers=[{"act": "retire", "stream": "scores", "consumer": "Ward board"}])
    sign(gone, place.iris)
    assert work(gone).state == "applied"
    assert Consumer.objects.get().retired_at is not None
    assert bindings_of(Handoff.objects.get()) == deployment.handoff.bindings


@pytest.mark.parametrize(
    ("row", "place_of_it"),
    [
        ({"act": "add", "stream": "archive", "values": REPORT}, "consumers[0].stream"),
        ({"act": "add", "stream": "scores", "values": {**REPORT, "fields": ["odd"]}}, "consumers[0].fields"),
        ({"act": "add", "stream": "scores", "values": {**REPORT, "owner": "nobody"}}, "consumers[0].owner"),
        ({"act": "add", "stream": "scores", "values": {"name": "x"}}, "consumers[0].kind"),
        ({"act": "add", "stream": "scores", "values": {**REPORT, "id": 1}}, "consumers[0].id"),
        ({"act": "retire", "stream": "scores", "consumer": "nobody"}, "consumers[0].consumer"),
        ({"act": "change", "stream": "scores", "consumer": "Ward board"}, "consumers[0].values"),
        ({"act": "delete", "stream": "scores"}, "consumers[0].act"),
    ],
)
def test_an_odd_consumer_is_refused_by_its_place(
    place: Place, deployment: Deployment, row: dict[str, Any], place_of_it: str
) -> None:
    before = counts()
    with pytest.raises(Refused) as refused:
        proposed(deployment, place.iris, consumers=[row])
    assert place_of_it in refused.value.fields
    assert counts() == before


def test_consumers_of_a_sink_that_is_bound_are_not_kept_directly(place: Place, deployment: Deployment) -> None:
    iris, board = Person(place.iris, "test"), Consumer.objects.get()
    where = {"environment": "production", "stream": "scores"}
    before = counts()
    for act in (
        lambda: consumers.add(actor=iris, **where, **REPORT),
        lambda: consumers.change(actor=iris, **where, consumer_id=str(board.pk), purpose="Other."),
        lambda: consumers.retire(actor=iris, **where, consumer_id=str(board.pk), reason="Gone."),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "sink_bound"
        assert f"/deployments/{deployment.pk}/" in refused.value.todo
    assert counts() == before
    consumers.add(actor=iris, environment="production", stream="lake", **REPORT)  # nothing live writes there
    page = walking.client_of(place.iris).get("/environments/production/streams/scores/").content.decode()
    assert f"/deployments/{deployment.pk}/" in page


def refuse_role(place: Place, deployment: Deployment) -> None:
    building.ended(EnvironmentUserGrant, user=place.iris)


def change_stream(place: Place, deployment: Deployment) -> None:
    otto = Person(place.otto, "test")
    streams.change(actor=otto, environment="production", stream="archive", descriptor={**amending.TABLE})


def stop_answering(place: Place, deployment: Deployment) -> None:
    Stream.objects.filter(slug="archive").update(failing_since=timezone.now(), fault_code="unreachable", fault="Gone.")


def suspend(place: Place, deployment: Deployment) -> None:
    place.target.python = "3.9.1"
    place.target.save(update_fields=["python"])
    assert findings.look(actor=Worker("drift"), handoff_id=deployment.handoff_id) is not None


def revoke_approval(place: Place, deployment: Deployment) -> None:
    signoff = deployment.handoff.signoffs.filter(voided_at=None).order_by("signed_at").last()
    assert signoff is not None
    told = {"handoff_id": str(deployment.handoff_id), "signoff_id": signoff.pk, "reason": "It was a mistake."}
    signoffs.revoke(actor=Person(signoff.signer, "test"), **told)


def supersede(place: Place, deployment: Deployment) -> None:
    live(place, 2, "other")


def lose_the_engine(place: Place, deployment: Deployment) -> None:
    place.target.engine = ""
    place.target.save(update_fields=["engine"])


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (refuse_role, "does not hold the role"),
        (change_stream, "changed after"),
        (stop_answering, "does not answer"),
        (suspend, "Python"),
        (revoke_approval, "approval is suspended"),
        (supersede, "superseded"),
        (lose_the_engine, "no engine"),
    ],
)
def test_the_worker_looks_again_and_refuses(
    place: Place, deployment: Deployment, happens: Callable[[Place, Deployment], None], words: str
) -> None:
    amendment = proposed(deployment, place.iris)
    sign(amendment, place.iris)
    happens(place, deployment)
    work(amendment)
    assert (amendment.state, words in amendment.because) == ("failed", True), amendment.because
    assert amendment.job is not None
    assert amendment.job.state == JobState.REFUSED
    assert bindings_of(Handoff.objects.get(pk=deployment.handoff_id)) == amendment.before


def test_the_second_of_two_is_out_of_date_once_the_first_is_applied(place: Place, deployment: Deployment) -> None:
    first = proposed(deployment, place.iris)
    second = proposed(deployment, place.otto, sinks=[{"stream": "scores"}, {"stream": "lake"}])
    seen = signature(second, place.iris)
    sign(first, place.iris)
    work(first)
    second.refresh_from_db()
    assert (second.state, second.because) == ("expired", "amendment 1 was applied first; propose it anew")
    assert sign_by_service(second, place.iris, **seen) == 409


def test_what_failed_at_the_engine_says_so_and_leaves_what_was(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.iris)
    sign(amendment, place.iris)
    work(amendment, AmendReport(False, True, ({"text": "no", "ok": False},), {}, "The archive refuses."))
    assert (amendment.state, amendment.because) == (
        "failed", "The archive refuses. So it runs again as it did before."
    )  # fmt: skip
    assert bindings_of(Handoff.objects.get()) == amendment.before
    again = proposed(deployment, place.iris)
    sign(again, place.iris)
    work(again, AmendReport(False, False, (), {}, "The engine fell silent."))
    assert again.state == "failed"
    assert Job.objects.filter(task=queue.RUN_STREAMS, purpose=f"streams:{deployment.order}:2").exists()


def test_an_amendment_whose_job_dies_ends_and_the_run_is_ordered_as_it_was(
    place: Place, deployment: Deployment, settings: Any
) -> None:
    amendment = proposed(deployment, place.iris)
    sign(amendment, place.iris)
    amendment.refresh_from_db()
    for _ in range(settings.JOB_ATTEMPTS):
        claimed = jobs.claim(amendment.job_id or "", "worker", task=queue.AMEND)
        assert claimed is not None
        jobs.release(claimed.pk, claimed.fence, "it broke")
    amendment.refresh_from_db()
    assert amendment.state == "failed"
    assert Job.objects.filter(task=queue.RUN_STREAMS, state="queued", purpose__endswith=":2").exists()


def test_the_usual_order_of_a_run_leaves_one_that_is_amended_alone(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.iris)
    sign(amendment, place.iris)
    job = Job.objects.get(task=queue.RUN_STREAMS)
    claimed = jobs.claim(job.pk, "worker", task=queue.RUN_STREAMS)
    assert claimed is not None
    plan = runs.begin(claimed.pk, claimed.fence)
    assert plan is not None
    assert plan.run == ""


def test_a_deployment_that_ends_meanwhile_keeps_its_bindings(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.iris)
    sign(amendment, place.iris)
    amendment.refresh_from_db()
    claimed = jobs.claim(amendment.job_id or "", "worker", task=queue.AMEND)
    assert claimed is not None
    assert applying.begin(claimed.pk, claimed.fence) is not None
    supersede(place, deployment)
    done = AmendReport(applied=True, restored=False, steps=(), state={})
    applying.finish(claimed.pk, claimed.fence, done, actor=Worker("worker"))
    amendment.refresh_from_db()
    assert (amendment.state, amendment.because) == ("failed", "the deployment ended while it was being applied")


def test_proposals_end_when_their_time_is_over_or_their_deployment_ended(place: Place, deployment: Deployment) -> None:
    late, open_ = proposed(deployment, place.iris), proposed(deployment, place.otto)
    with pgtrigger.ignore("handoff.Amendment:proposal_is_fixed"):  # only the clock makes it late
        Amendment.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Refused) as refused:
        sign(late, place.iris)
    assert refused.value.code == "offer_expired"
    tasks.expire()
    late.refresh_from_db()
    open_.refresh_from_db()
    assert (late.state, open_.state) == ("expired", "proposed")
    supersede(place, deployment)
    with pytest.raises(Refused) as ended:
        sign(open_, place.iris)
    assert ended.value.code == "not_live"
    tasks.expire()
    open_.refresh_from_db()
    assert (open_.state, open_.because) == ("expired", "the deployment is superseded")


def test_a_rollback_brings_a_version_back_with_the_bindings_that_it_had_last(
    place: Place, deployment: Deployment
) -> None:
    amendment = proposed(deployment, place.iris)
    sign(amendment, place.iris)
    work(amendment)
    supersede(place, deployment)
    first = Handoff.objects.get(pk=deployment.handoff_id)
    assert [one["stream"] for one in bindings_of(first)["outputs"]] == ["scores", "archive"]
    assert changed_since(first) == {}


def test_the_admin_shows_amendments_and_changes_nothing(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.iris)
    signoff = sign(amendment, place.iris)
    place.iris.is_staff = True
    place.iris.save(update_fields=["is_staff"])
    client = walking.client_of(place.iris)
    before = counts()
    for table, row in (("amendment", amendment), ("amendmentsignoff", signoff)):
        page = client.get(f"/admin/handoff/{table}/{row.pk}/change/")
        assert page.status_code == 200
        assert client.post(f"/admin/handoff/{table}/{row.pk}/change/", {}).status_code in (302, 403)
    assert counts() == before


def test_the_next_run_of_a_batch_goes_by_what_was_amended(place: Place) -> None:
    once = {"transport": "inline", "location": {"records": [{"radius": 1.0}]}}
    streams.declare(
        actor=Person(place.otto, "test"), environment="production", slug="once", direction="source", descriptor=once,
        owner="otto",
    )  # fmt: skip
    batch = live(place, bindings={"mode": "batch", "input": {"stream": "once"}, "outputs": [{"stream": "scores"}]})
    first = batch.runs.get()
    batching.started(first)
    amendment = proposed(batch, place.iris, sinks=[{"stream": "archive"}])
    sign(amendment, place.iris)
    amendment.refresh_from_db()
    job = jobs.claim(amendment.job_id or "", "worker", task=queue.AMEND)
    assert job is not None
    assert applying.begin(job.pk, job.fence) is None  # no engine is asked: a run that is under way ends as it began
    amendment.refresh_from_db()
    assert amendment.state == "applied"
    batching.ended(first)
    run = batching.on_demand(batch, place.otto, "The ward asks.")
    assert list(batching.begun(run.job)[1].sinks) == ["archive"]
