"""How many SQL statements each act costs over the API: transaction, rights, rules and events included."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from audit import personal_keys
from audit.actors import Worker
from audit.models import Account, PersonalKey
from handoff import queue
from handoff.models import Amendment, Condition, Finding, Handoff, Job, Reauthentication, RetirementNotice, Waiver
from handoff.plans import DeployReport
from handoff.queries import adoptions, break_glass, signing_by_key
from handoff.services import deployments, findings, jobs, policies
from models_registry.models import (
    Consumer,
    Delegation,
    Environment,
    EnvironmentUserGrant,
    ImportException,
    RegisteredModel,
)
from models_registry.roles import digest_of_duty
from models_registry.rules import strict_yaml
from models_registry.rules.raci import USUAL
from models_registry.services import streams, versions
from tests.handoff import amending, artifacts, authenticator, building, walking
from tests.handoff.walking import by
from tests.queries.counting import Site, proof_of, signature, sql_of

pytestmark = pytest.mark.django_db
V1 = "/api/v1/"


class Story:
    """Acts, one after the other, each with its number of statements."""

    def __init__(self, site: Site) -> None:
        """Begin with warm caches."""
        self.site, self.place = site, site.place
        self.counted: dict[str, int] = {}
        for model in (RegisteredModel, Environment, Account):
            ContentType.objects.get_for_model(model)

    def act(
        self, name: str, who: str, path: str, body: Any = None, *, method: str = "post", status: int = 201, **more: Any
    ) -> None:
        """Do something, and count."""
        client = self.site.api(who)
        sql_of(client, "get", f"{V1}me/")
        self.counted[name] = len(sql_of(client, method, V1 + path, body, status, **more))

    def of_the_site(self) -> None:
        """Set up an organisation with its environment, roles and rules."""
        self.act("create an organisation", "ada", "organisations/", {"slug": "clinic", "name": "Clinic"})
        environment = {"slug": "ward", "name": "Ward", "kind": "test", "organisation": "clinic", "owner": "otto"}
        self.act("create an environment", "ada", "environments/", {**environment, "python": "3.11.7"})
        ward = Environment.objects.get(slug="ward")
        building._grant(EnvironmentUserGrant, self.place.ada, "administrator", ward)
        match = {"If-Match": '"1"'}
        change = {"method": "patch", "status": 200, "headers": match}
        self.act("change an environment", "ada", "environments/ward/", {"hardware": "2 CPU"}, **change)
        self.act("report a profile", "ada", "environments/ward/profiles/", building.a_profile())
        holding = {"role": "it_operations", "holder": "otto"}
        self.act("grant a role", "ada", "environments/ward/roles/", holding)
        self.act("revoke a role", "ada", "environments/ward/roles/", holding, method="delete", status=204)
        source = Path(settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
        source = source.replace("expires_after_days: 30", "expires_after_days: 20")
        self.act("validate a policy", "ada", "policies/validate/", {"source": source}, status=200)
        self.act("compare a policy", "ada", "policies/diff/", {"source": source}, status=200)
        self.act("try a policy", "ada", "policies/simulate/", {"source": source}, status=200)
        self.act("publish a policy", "ada", "policies/", {"source": source})
        duty = {"role": "validator", "text": "I check.", "reason": "Shorter."}
        self.act("publish a duty", "ada", "duties/", duty)
        seen = {"seen": digest_of_duty("validator", "I check.")}
        self.act("acknowledge a duty", "vera", "duties/validator/acknowledgements/", seen)
        told = {"role": "validator", "model": "tumours", "to": "iris", "reason": "On leave."}
        self.act("delegate", "vera", "delegations/", told | {"ends": timezone.localdate().isoformat()})
        made = Delegation.objects.get()
        self.act("end a delegation", "vera", f"delegations/{made.pk}/end/", status=200)
        merged = {"account": "mallory", "same_as": "rita", "reason": "The same passport."}
        self.act("merge accounts", "ada", "accounts/merge/", merged, status=200)
        Account.objects.create(username="goner", first_name="Gundula", is_active=False)
        held = {"person": "goner", "reason": "A lawsuit."}
        self.act("hold a name", "ada", "accounts/leavers/hold/", held)
        self.act("lift the hold on a name", "ada", "accounts/leavers/lift/", held, status=200)
        gone = {"person": "goner", "confirm": "goner", "reason": "The years are over."}
        self.act("let a name go", "ada", "accounts/pseudonymise/", gone, status=200)
        self.act("publish a matrix", "ada", "raci/", {"source": strict_yaml.text_of(USUAL), "reason": "As agreed."})

    def of_exceptions(self) -> None:
        """Ask for exceptions to an import policy, and answer them."""
        Environment.objects.filter(slug="production").update(import_policy={"default": "prohibit"})
        asked = {"library": "polars", "version": "1.0", "reason": "It is fast."}
        where = "environments/production/exceptions/"
        self.act("ask for an exception", "dana", where, asked)
        first = ImportException.objects.get(library="polars")
        answer = {"answer": "granted", "until": timezone.localdate().isoformat()}
        self.act("answer it", "otto", f"{where}{first.pk}/answer/", answer, status=200)
        self.act("revoke it", "otto", f"{where}{first.pk}/revoke/", {"reason": "A hole."}, status=200)
        open_ = ImportException.objects.get(library="torch")
        self.act("withdraw a request", "dana", f"{where}{open_.pk}/withdraw/", {}, status=200)

    def of_a_version(self) -> None:
        """Register a model, and take a version from a draft to its seal."""
        model = {"slug": "risk", "name": "Risk", "purpose": "Tests", "owner_team": "Lab"}
        self.act("register a model", "dana", "models/", model)
        match = {"If-Match": '"1"'}
        change = {"method": "patch", "status": 200, "headers": match}
        self.act("change a model", "dana", "models/risk/", {"purpose": "More tests"}, **change)
        self.act("start a version", "dana", "models/risk/versions/", {"notes": "a draft"})
        version, content = "models/risk/versions/1/", artifacts.elements("good")
        thresholds = SimpleUploadedFile("thresholds.json", content["thresholds"])
        upload = {"method": "put", "status": 200, "headers": match, "format": "multipart"}
        self.act("upload an element", "dana", f"{version}elements/thresholds/", {"file": thresholds}, **upload)
        removal = {"method": "delete", "status": 204, "headers": {"If-Match": '"2"'}}
        self.act("remove an element", "dana", f"{version}elements/thresholds/", **removal)
        content["runtime"] = b'{"python": ">=3.11,<3.15", "packages": {"onnxruntime": ">=1.30,<2"}}'
        for name in sorted(set(content) - {"output_schema"}):
            versions.set_element(
                actor=by(self.place.dana), model="risk", number=1, name=name, chunks=[content[name]], format="onnx"
            )
        self.act("infer a schema", "dana", f"{version}infer-schemas/", status=200)
        self.act("nominate", "dana", f"{version}nominate/", status=200)
        versions.draft(actor=by(self.place.dana), model="risk")
        self.act("discard a draft", "dana", "models/risk/versions/2/discard/", status=200)

    def of_an_offer(self) -> None:
        """Draft and offer a handoff, and answer what its review asks."""
        draft = {"model": "tumours", "version": 7, "source": "workbench", "target": "production"}
        self.act("draft a handoff", "dana", "handoffs/", draft)
        handoff = Handoff.objects.get(version__number=7, model=self.place.model)
        path = f"handoffs/{handoff.pk}/"
        change = {"method": "patch", "status": 200, "headers": {"If-Match": f'"{handoff.revision}"'}}
        self.act("change a draft", "dana", path, {"note": "Please read."}, **change)
        self.act("offer", "dana", f"{path}offer/", status=200)
        file = {"file": SimpleUploadedFile("runbook.txt", b"Call Otto.")}
        self.act("upload evidence", "edda", f"{path}evidence/", file, format="multipart")
        answer = {"item": "purpose", "choice": "yes", "evidence": [walking.LINK]}
        self.act("answer", "dana", f"{path}answers/", answer)
        handoff.refresh_from_db()
        assert handoff.report is not None
        differences = {"differences": handoff.report["undeclared"]}
        self.act("acknowledge", "otto", f"{path}acknowledgements/", differences)
        self.act("withdraw a handoff", "dana", f"{path}withdraw/", {"reason": "A better one follows."}, status=200)

    def of_signatures(self) -> None:
        """Confirm, sign, withdraw, sign last, refuse."""
        self.act("confirm who one is", "vera", "reauthentications/", {"password": walking.PASSWORD})
        handoff, vera, otto = self.site.handoffs["answered"], self.place.vera, self.place.otto
        path = f"handoffs/{handoff.pk}/signoffs/"
        self.act("sign", "vera", path, signature(handoff, vera, "validation"))
        again = f"{path}{handoff.signoffs.get().pk}/withdraw/"
        self.act("withdraw a signature", "vera", again, {"reason": "Too early."}, status=200)
        key = {"headers": {"Idempotency-Key": "once"}}
        self.act("sign under a key", "vera", path, signature(handoff, vera, "validation"), **key)
        self.act("sign last", "otto", path, signature(handoff, otto, "acceptance"))
        other = self.site.handoffs["ready"]
        refusal = {"decision": "refuse", "comment": "Too slow.", "reasons": ["performance"]}
        body = signature(other, otto, "release") | refusal
        self.act("refuse", "otto", f"handoffs/{other.pk}/signoffs/", body)

    def of_conditions(self) -> None:
        """Sign with a condition, meet it, and revoke."""
        handoff, vera = self.site.handoffs["answered"], self.place.vera
        path = f"handoffs/{handoff.pk}/"
        promise = {"text": "Rehearse it.", "due": timezone.localdate().isoformat(), "owner": "otto"}
        body = signature(handoff, vera, "validation") | {"decision": "conditional", "conditions": [promise]}
        self.act("sign with a condition", "vera", f"{path}signoffs/", body, format="json")
        condition = f"{path}conditions/{Condition.objects.get().pk}/"
        shown = {"comment": "Done.", "link": "https://example.org/log"}
        self.act("show that it is met", "otto", f"{condition}report/", shown)
        self.act("accept that", "vera", f"{condition}accept/", {"comment": "Good."})
        live = self.site.handoffs["live"]
        mine = live.signoffs.get(gate="review", signer=vera)
        revoke = f"handoffs/{live.pk}/signoffs/{mine.pk}/revoke/"
        self.act("revoke an approval", "vera", revoke, {"reason": "I was wrong."}, status=200)

    def of_deployments(self) -> None:
        """Release a second version, roll it back, and deploy again after an engine could not be reached."""
        handoff, otto = self.site.handoffs["ready"], self.place.otto
        path = f"handoffs/{handoff.pk}/"
        self.act("sign the release", "otto", f"{path}signoffs/", signature(handoff, otto, "release"))
        job = handoff.jobs.get(task=queue.DEPLOY)
        claimed = jobs.claim(job.pk, "worker", task=queue.DEPLOY)
        assert claimed is not None
        assert deployments.begin(claimed.pk, claimed.fence), Job.objects.get(pk=claimed.pk).error
        down = DeployReport(False, "The engine cannot be reached.", (), "unreachable")
        deployments.finish(claimed.pk, claimed.fence, down, actor=Worker("worker"))
        self.act("deploy again", "otto", f"{path}deploy-again/", status=202)
        second = deployed_again(handoff)
        reason = {"reason": "It answers strangely."}
        self.act("roll back", "otto", f"deployments/{second}/roll-back/", reason, status=202)
        tests = self.site.handoffs["testing"].jobs
        dead = tests.get(purpose="test:golden")
        tests.filter(pk=dead.pk).update(state="running", lease_until=timezone.now())
        tests.filter(pk=dead.pk).update(state="dead", attempts=3, ended_at=timezone.now())
        self.act("try work once more", "otto", f"jobs/{dead.pk}/retry/", status=202)
        self.act("cancel work", "otto", f"jobs/{dead.pk}/cancel/", {"reason": "The data are wrong."}, status=200)

    def of_findings(self) -> None:
        """Let a live version go on although its target drifted."""
        live = self.site.handoffs["live"]
        Environment.objects.filter(pk=live.target_id).update(python="3.9.1")
        finding = findings.look(actor=Worker("drift"), handoff_id=live.pk)
        assert finding is not None
        path = f"handoffs/{live.pk}/findings/{finding.pk}/accept/"
        self.act("accept a finding", "otto", path, {"comment": "Tried on staging."}, status=200)
        issue = {"title": "No alarm.", "severity": "high", "owner": "edda"}
        path = f"handoffs/{live.pk}/findings/"
        self.act("raise a finding", "vera", path, issue)
        link = {"evidence": {"kind": "link", "link": "https://tracker.example.org/17"}}
        self.act("close a finding", "edda", f"{path}{live.findings.get(kind='issue').pk}/close/", link, status=200)
        told = {"kind": "served", "subject": "served:stranger:odd", "items": {"x": "y"}, "severity": "high"}
        place = Environment.objects.get(slug="production")
        odd = Finding.objects.create(environment=place, suspends=False, due_at=timezone.now(), **told)
        path = f"environments/production/findings/{odd.pk}/close/"
        self.act("close a finding of an environment", "otto", path, link, status=200)

    def of_replays(self) -> None:
        """Order a replay of two files."""
        live, who = self.site.handoffs["live"], by(self.place.otto)
        building._grant(EnvironmentUserGrant, self.place.otto, "it_operations", self.place.source)
        for where, slug in (("workbench", "measurements"), ("production", "patients")):
            file = {"transport": "file", "encoding": "csv", "location": {"url": f"file:///data/{slug}.csv"}}
            told = {"slug": slug, "direction": "source", "descriptor": file, "owner": "otto"}
            streams.declare(actor=who, environment=where, **told)
        self.act("order a replay", "otto", f"handoffs/{live.pk}/replays/", {"production": "patients"}, status=202)

    def of_batches(self) -> None:
        """Run a batch now, and stop that."""
        assert self.site.batch is not None
        path = f"deployments/{self.site.batch.pk}/runs/"
        self.act("run a batch now", "otto", path, {"reason": "The ward asks."}, status=202)
        self.act("stop the run", "otto", f"{path}2/stop/", {"reason": "That is enough."}, status=202)

    def of_suspensions(self) -> None:
        """Stop what is live, and lift that."""
        assert self.site.deployment is not None
        path, reason = f"deployments/{self.site.deployment.pk}/suspensions/", {"reason": "It answers strangely."}
        self.act("suspend", "rita", path, reason, status=202)
        told = {**reason, "reauthentication": amending.proof(self.place.otto)}
        self.act("lift a suspension", "otto", f"{path}lift/", told, status=202)

    def exceptional(self, number: int) -> Handoff:
        """Return a handoff in review, its items answered, under a policy that knows waivers and break-glass."""
        light = Path(settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
        waivers = "waivers: {approver: risk_compliance, max_days: 90, warn_days: 14}\n"
        glass = "break_glass: {roles: [it_operations, risk_compliance], lasts_hours: 24, confirm_minutes: 60}\n"
        if number == 30:
            policies.publish(actor=by(self.place.ada), source=light + waivers + glass)
        return walking.answered(self.place, walking.offered(self.place, building.a_version(self.place, number)))

    def of_waivers(self) -> None:
        """Ask for waivers; approve, revoke, decline and withdraw."""
        path = f"handoffs/{self.exceptional(30).pk}/waivers/"
        until = timezone.localdate().isoformat()
        told = {"kind": "item", "requirement": "runbook", "until": until}
        told |= {"reason": "The drill is next week.", "control": "Otto watches it."}
        self.act("ask for a waiver", "edda", path, told)
        self.act("approve it", "rita", f"{path}{waiver_in('open')}/answer/", {"answer": "approved"}, status=200)
        self.act("revoke it", "rita", f"{path}{waiver_in('approved')}/revoke/", {"reason": "No."}, status=200)
        self.act("ask anew", "edda", path, told)
        self.act("withdraw it", "edda", f"{path}{waiver_in('open')}/withdraw/", {}, status=200)

    def of_break_glass(self) -> None:
        """Ask for break-glass, withdraw that, ask again and confirm."""
        handoff, rita = self.exceptional(30), self.place.rita
        path = f"handoffs/{handoff.pk}/break-glass/"
        why = {"reason": "It scores everybody as ill.", "incident": "INC-9"}
        self.act("ask for break-glass", "otto", path, why)
        self.act("withdraw that", "otto", f"{path}{handoff.break_glass.get().pk}/withdraw/", status=200)
        self.act("ask again", "otto", path, why)
        glass = handoff.break_glass.get(state="asked")
        seen = break_glass.sheet_for(rita, handoff.pk, glass.pk).seen
        body = {"seen": seen, "reauthentication": proof_of(rita)}
        self.act("confirm", "rita", f"{path}{glass.pk}/confirm/", body, status=200)

    def of_amendments(self) -> None:
        """Propose an amendment of what is live, sign it, propose another and withdraw it."""
        assert self.site.batch is not None
        place, path = self.place, f"deployments/{self.site.batch.pk}/amendments/"
        more = {"reason": "The archive wants them.", "sinks": [{"stream": "gone"}, {"stream": "scores"}]}
        self.act("propose an amendment", "otto", path, more, format="json")
        made = Amendment.objects.latest("proposed_at")
        signed = amending.signature(made, place.iris) | {"reauthentication": proof_of(place.iris)}
        self.act("sign an amendment", "iris", f"amendments/{made.pk}/signoffs/", signed)

    def of_adoptions(self) -> None:
        """Let an open handoff adopt a policy that was published since."""
        handoff, vera = self.site.handoffs["answered"], self.place.vera
        walking.sign(handoff, self.place.otto, "acceptance")
        self.exceptional(30)
        sheet = adoptions.adoption_sheet(vera, handoff.pk)
        body = {"seen": sheet.seen, "reason": "As agreed.", "reauthentication": proof_of(vera)}
        self.act("adopt a policy", "vera", f"handoffs/{handoff.pk}/adoption/", body)

    def of_retirements(self) -> None:
        """Plan to retire what is live, acknowledge that as an owner of a consumer, and cancel it."""
        assert self.site.batch is not None
        told = {
            "kind": "report",
            "purpose": "Who was seen.",
            "criticality": "low",
            "effect": "None.",
            "fields": ["score"],
        }
        sink = self.place.target.streams.get(slug="gone")
        Consumer.objects.create(stream=sink, name="Ward list", owner=self.place.otto, **told)
        path = f"deployments/{self.site.batch.pk}/retirements/"
        day = (timezone.now() + timedelta(days=30)).date().isoformat()
        told = {"reason": "A better one is coming.", "day": day, "reauthentication": proof_of(self.place.otto)}
        self.act("plan to retire", "otto", path, told)
        notice = f"retirement-notices/{RetirementNotice.objects.get().pk}/acknowledge/"
        self.act("acknowledge a notice", "otto", notice, status=200)
        self.act("cancel the plan", "otto", f"{path}cancel/", {"reason": "It stays."}, status=200)

    def of_personal_keys(self) -> None:
        """Register a key, confirm a decision by it, sign, and retire it."""
        vera, handoff, own = self.place.vera, self.site.handoffs["answered"], authenticator.token()
        question = personal_keys.ask_for_new(vera, authenticator.ORIGIN)
        made = own.made(question.options) | {"token": question.token, "name": "Token", "password": walking.PASSWORD}
        self.act("register a key", "vera", "personal-keys/", made)
        told = signature(handoff, vera, "validation")
        said = {name: told[name] for name in ("decision", "meaning", "seen")}
        asked = signing_by_key.ask(by(vera), handoff.pk, "validation", origin=authenticator.ORIGIN, **said)
        answer = own.signed(asked.options) | {"token": asked.token}
        self.act("confirm by a key", "vera", "reauthentications/by-key/", answer)
        proof = Reauthentication.objects.latest("confirmed_at").pk
        body = {**told, "reauthentication": str(proof)}
        self.act("sign by a key", "vera", f"handoffs/{handoff.pk}/signoffs/", body)
        key = PersonalKey.objects.get().pk
        self.act("retire a key", "vera", f"personal-keys/{key}/retire/", {"reason": "Lost."}, status=200)

    def of_tokens(self) -> None:
        """Sign in, and out."""
        self.act("sign in", "dana", "tokens/", {"username": "dana", "password": walking.PASSWORD})
        self.act("sign out", "dana", "tokens/current/", method="delete", status=204)


def waiver_in(state: str) -> str:
    """Return the key of the waiver that is in a state."""
    return str(next(one.pk for one in Waiver.objects.all() if one.state == state))


def deployed_again(handoff: Handoff) -> str:
    """Report the second try of a deployment as done; return its key."""
    job = handoff.jobs.filter(task=queue.DEPLOY, state="queued").get()
    claimed = jobs.claim(job.pk, "worker", task=queue.DEPLOY)
    assert claimed is not None
    assert deployments.begin(claimed.pk, claimed.fence), Job.objects.get(pk=claimed.pk).error
    done = DeployReport(True, "it is live", ())
    return str(deployments.finish(claimed.pk, claimed.fence, done, actor=Worker("worker")).pk)


EXPECTED: dict[Callable[[Story], None], dict[str, int]] = {
    Story.of_the_site: {
        "create an organisation": 7,
        "create an environment": 12,
        "change an environment": 11,
        "report a profile": 15,
        "grant a role": 11,
        "revoke a role": 9,
        "validate a policy": 1,
        "compare a policy": 5,
        "try a policy": 2,
        "publish a policy": 8,
        "publish a duty": 7,
        "acknowledge a duty": 9,
        "publish a matrix": 9,
        "delegate": 11,
        "end a delegation": 10,
        "merge accounts": 13,
        "hold a name": 8,
        "lift the hold on a name": 12,
        "let a name go": 35,
    },
    Story.of_a_version: {
        "register a model": 10,
        "change a model": 10,
        "start a version": 12,
        "upload an element": 25,
        "remove an element": 15,
        "infer a schema": 25,
        "nominate": 16,
        "discard a draft": 10,
    },
    Story.of_an_offer: {
        "draft a handoff": 16,
        "change a draft": 10,
        "offer": 21,
        "upload evidence": 7,
        "answer": 10,
        "acknowledge": 10,
        "withdraw a handoff": 13,
    },
    Story.of_exceptions: {
        "ask for an exception": 12,
        "answer it": 10,
        "revoke it": 11,
        "withdraw a request": 9,
    },
    Story.of_findings: {
        "accept a finding": 10,
        "raise a finding": 8,
        "close a finding": 12,
        "close a finding of an environment": 12,
    },
    Story.of_signatures: {
        "confirm who one is": 12,
        "sign": 8,
        "withdraw a signature": 10,
        "sign under a key": 15,
        "sign last": 16,
        "refuse": 13,
    },
    Story.of_conditions: {
        "sign with a condition": 13,
        "show that it is met": 9,
        "accept that": 12,
        "revoke an approval": 14,
    },
    Story.of_deployments: {
        "sign the release": 15,
        "deploy again": 21,
        "roll back": 17,
        "try work once more": 10,
        "cancel work": 11,
    },
    Story.of_replays: {"order a replay": 15},
    Story.of_batches: {"run a batch now": 17, "stop the run": 15},
    Story.of_suspensions: {"suspend": 14, "lift a suspension": 15},
    Story.of_waivers: {
        "ask for a waiver": 9,
        "approve it": 10,
        "revoke it": 10,
        "ask anew": 9,
        "withdraw it": 8,
    },
    Story.of_break_glass: {"ask for break-glass": 13, "withdraw that": 9, "ask again": 13, "confirm": 28},
    Story.of_amendments: {"propose an amendment": 26, "sign an amendment": 18},
    Story.of_adoptions: {"adopt a policy": 23},
    Story.of_retirements: {"plan to retire": 17, "acknowledge a notice": 10, "cancel the plan": 16},
    Story.of_personal_keys: {
        "register a key": 14,
        "confirm by a key": 14,
        "sign by a key": 8,
        "retire a key": 7,
    },
    Story.of_tokens: {
        "sign in": 30,
        "sign out": 7,
    },
}


@pytest.mark.parametrize("chapter", EXPECTED)
def test_every_act_costs_so_many_statements(chapter: Callable[[Story], None], site: Site) -> None:
    story = Story(site)
    chapter(story)
    assert story.counted == EXPECTED[chapter]
