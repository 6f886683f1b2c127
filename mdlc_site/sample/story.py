"""A handoff under the strict policy and three under the light one, told while they happen; one of them goes back."""

import json
import time
from pathlib import Path
from typing import Any

from pyarrow import parquet

from mdlc_site.sample.client import Api, ApiError, wait_for
from mdlc_site.sample.flows import BINDINGS, in_table
from mdlc_site.sample.organisation import grant_on

NAMES = ("model", "input_schema", "output_schema", "runtime", "golden", "validation", "thresholds", "training")
EVIDENCE = {
    "link": {"kind": "link", "label": "the team's page", "link": "https://wiki.example.org/models"},
    "figure": {"kind": "figure", "label": "requests a second at the busiest", "figure": 40},
}
KIND_OF_EVIDENCE = {"capacity": "figure", "data-origin": "file"}
ORIGIN = "Published with scikit-learn, for research and teaching. No record names a person.\n"
TRUTH = ("malignant", "benign")
ENDED = ("live", "returned", "withdrawn", "expired", "superseded", "rolled_back")
UNDER_WAY = ("testing", "deploying")
GOOD = {("superseded", "returned", "live"), ("live", "returned", "live")}
ENOUGH = 100  # scored records, of which a few would be chance
SCREENING = {
    "slug": "tumour-screening",
    "name": "Tumour screening",
    "purpose": "Tell the pathologist which samples to look at first; a person decides on every one.",
    "owner_team": "Diagnostics analytics",
    "risk_tier": "high",
    "model_type": "classification",
}
PROGRESSION = {
    "slug": "diabetes-progression",
    "name": "Diabetes progression",
    "purpose": "Plan the number of check-ups for the coming year.",
    "owner_team": "Diagnostics analytics",
    "risk_tier": "low",
    "model_type": "regression",
}


class Story:
    """The people, what they do, and the lines that tell it."""

    def __init__(self, site: str, engine: str, clinic: int, home: Path, password: str) -> None:
        self.site, self.engine, self.home, self.password = site, engine, home, password
        self.clinic = f"http://127.0.0.1:{clinic}"
        self.files = home / "sample"
        self.began = time.monotonic()
        self.people: dict[str, Api] = {}

    def tell(self) -> bool:
        """Hand four versions over; True when those that should be live are, and the worse one went back."""
        self.say("", "A model is built in the lab, and handed to the clinic's production under the policy 'strict'.")
        first = self.hand_over(SCREENING, 1, "screening-1", bindings=BINDINGS)
        if first["state"] != "live":
            self.say("", f"It did not go live: it is {first['state']}.")
            return False
        if not self.watch_run(first["id"]):
            return False
        self.score("tumour-screening", "screening-1")
        self.say("", "\nBeside it a model of low risk (scikit-learn, saved by skops) goes under the policy 'light' ...")
        second = self.hand_over(PROGRESSION, 1, "progression-1")
        self.say("", "... then a version of it that is honestly worse than what is live ...")
        third = self.hand_over(PROGRESSION, 2, "progression-2")
        self.tell_return(third)
        self.say("", "... and one that the same pipeline trained anew: operations alone let it in, inside the bounds.")
        fourth = self.hand_over(PROGRESSION, 3, "progression-3")
        self.compare({"strict": first, "light": second, "a retrain under light": fourth})
        events = self.as_("rita").get(f"/api/v1/events/?chain=handoff:{first['id']}&page_size=200")["results"]
        self.say(
            "", f"\nThe first handoff left {len(events)} events in the audit trail, each chained to the one before."
        )
        return (second["state"], third["state"], fourth["state"]) in GOOD

    def as_(self, username: str) -> Api:
        """Return a person's conversation; they sign in when they are first needed."""
        if username not in self.people:
            self.people[username] = Api(self.site).sign_in(username, self.password)
        return self.people[username]

    def say(self, who: str, words: str) -> None:
        """Print a step with its time."""
        head = "" if words.startswith("\n") else f"{time.monotonic() - self.began:6.1f} s  "
        print(f"{head}{who:<8} {words}" if who else f"{head}{words}" if head else words, flush=True)

    def hand_over(
        self, model: dict[str, str], number: int, folder: str, *, bindings: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Take one version from files to its end; go on where an earlier run was interrupted."""
        self.register(model)
        version = self.make_version(model["slug"], number, folder)
        handoff = self.draft(model["slug"], number, bindings)
        path = f"/api/v1/handoffs/{handoff['id']}/"
        dana = self.as_("dana")
        if handoff["state"] == "draft":
            dana.post(path + "offer/")
            differences = [d for d in dana.get(path)["report"]["items"] if not d["equal"]]
            self.say(
                "dana", f"offers it with digest {version['digest'][:12]}; {len(differences)} differences are itemised"
            )
            if bindings:
                self.tell_report(path)
        self.review(path)
        self.watch_tests(path)
        self.release(path)
        ended = wait_for(lambda: dana.get(path), lambda h: h["state"] in ENDED)
        if ended["state"] == "live":
            self.say("worker", "loads by digest, replays the golden records through the live endpoint, and swaps: LIVE")
            self.tell_owner(model["slug"])
        return dict(ended)

    def register(self, model: dict[str, str]) -> None:
        """Register a model that is not there yet, with its people."""
        dana = self.as_("dana")
        if any(m["slug"] == model["slug"] for m in dana.get("/api/v1/models/?page_size=200")["results"]):
            return
        dana.post("/api/v1/models/", model)
        grant_on(model["slug"])
        told = f"{model['model_type']}, {model['risk_tier']} risk"
        self.say("dana", f"registers the model '{model['name']}' ({told}): {model['purpose']}")
        self.say("ada", "lets vera validate it and rita watch over its risk; nobody grants a role to themselves")

    def make_version(self, slug: str, number: int, folder: str) -> dict[str, Any]:
        """Upload and nominate a version, unless it is sealed already."""
        dana = self.as_("dana")
        path = f"/api/v1/models/{slug}/versions/"
        known = {v["number"]: v for v in dana.get(path)["results"]}
        if number not in known:
            files = {name: file for name in NAMES for file in (self.files / folder).glob(f"{name}.*")}
            known[number] = dana.upload(path, {"notes": "trained for the demonstration"}, files)
            model = next(e for e in known[number]["elements"] if e["name"] == "model")
            self.say(
                "dana",
                f"uploads version {number}: {model['filename']}, {model['size']:,} bytes, "
                f"and {len(files) - 1} more elements",
            )
        if known[number]["state"] == "draft":
            known[number] = dana.post(f"{path}{number}/nominate/")
            self.say(
                "dana", f"nominates it: sealed under digest {known[number]['digest'][:12]}, it never changes again"
            )
        return dict(known[number])

    def draft(self, slug: str, number: int, bindings: dict[str, Any] | None) -> dict[str, Any]:
        """Return the newest handoff of a version, drafted if there is none."""
        dana = self.as_("dana")
        found = [h for h in dana.get(f"/api/v1/handoffs/?model={slug}")["results"] if h["version"] == number]
        if found:
            return dict(found[0])
        body: dict[str, Any] = {
            "model": slug,
            "version": number,
            "source": "lab",
            "target": "clinic",
            "note": "For the clinic's planners.",
        }
        if bindings:
            body["bindings"] = bindings
        handoff = dana.post("/api/v1/handoffs/", body)
        over = "from a file in the lab to a stream in the clinic, with three sinks" if bindings else "on request"
        self.say("dana", f"drafts a handoff of version {number} from 'lab' to 'clinic', {over}")
        return dict(handoff)

    def tell_report(self, path: str) -> None:
        """Print the difference report: what is locked and proved equal, and what differs, facet by facet."""
        report = self.as_("otto").get(path + "differences/")
        locked = [item for item in report["items"] if item["classed"] == "locked"]
        same = sum(item["equal"] and item["classed"] != "locked" for item in report["items"])
        self.say("", f"The difference report {report['digest'][:12]}, which every signature will cover:")
        for item in locked:
            self.say("", f"   {item['facet']:<12} locked       {item['name']}: equal, {item['source'][:12]}")
        for item in report["items"]:
            if not item["equal"]:
                told = f"{item['facet']:<12} {item['classed']:<12} {item['name']}"
                self.say("", f"   {told}: {item['source'] or 'nothing'} → {item['target']} ({item['reason']})")
        self.say("", f"   ... and {same} more items, packages and fields, that are the same on both sides")

    def watch_run(self, handoff: str) -> bool:
        """Tell what the run has read, scored and refused, and show that all three sinks have it."""
        otto, clinic = self.as_("otto"), Api(self.clinic)
        found = otto.get("/api/v1/deployments/?model=tumour-screening")["results"]
        path = next(f"/api/v1/deployments/{one['id']}/" for one in found if one["handoff"] == handoff)

        def look() -> tuple[dict[str, Any], int, int, int]:
            run = otto.get(path)["run"]
            return run, in_table(self.home), rows_in(self.files / "archive"), clinic.get("/alerts")["received"]

        def enough(seen: tuple[dict[str, Any], int, int, int]) -> bool:
            run, *delivered = seen
            return run.get("counts", {}).get("scored", 0) >= ENOUGH and min(delivered) >= ENOUGH

        run, *delivered = wait_for(look, enough)
        counts = run["counts"]
        self.say("engine", f"runs over the stream: {counts['read']} records read, {counts['scored']} scored")
        refused = ", ".join(f"{number} for {cause}" for cause, number in counts["rejected"].items())
        self.say("engine", f"refuses broken ones, and keeps them with the reasons: {refused}")
        self.say("clinic", "has {} scores in its table, {} in Parquet files, {} by webhook".format(*delivered))
        return run["state"] == "running"

    def review(self, path: str) -> None:
        """Answer, acknowledge and sign whatever the review gate still asks for."""
        for _ in range(50):
            handoff = self.as_("otto").get(path)
            todo = next((r for g in handoff["gates"] if g["status"] == "now" for r in missing_in(g)), None)
            if handoff["state"] != "in_review" or todo is None:
                return
            self.clear(path, handoff, todo)

    def release(self, path: str) -> None:
        """Answer and sign whatever the release gate still asks for, and the confirm gate once it is being served."""
        for name, state in (("release", "ready"), ("confirm", "confirming")):
            handoff = wait_for(lambda: self.as_("otto").get(path), lambda h: h["state"] not in UNDER_WAY)
            gate = next((g for g in handoff["gates"] if g["name"] == name), None)
            if handoff["state"] == state and gate is not None:
                for todo in missing_in(gate):
                    self.clear(path, handoff, todo)

    def clear(self, path: str, handoff: dict[str, Any], todo: dict[str, Any]) -> None:
        """Do one thing that a gate asks for, as somebody who holds the role."""
        who = {
            "data_scientist": "dana",
            "analytic_engineer": "noah",
            "validator": "vera",
            "risk_compliance": "rita",
            "integration_owner": "iris",
        }.get(todo["role"], "otto")
        api = self.as_(who)
        if todo["kind"] == "answer":
            kind = KIND_OF_EVIDENCE.get(todo["key"], "link")
            evidence = self.origin(api, path) if kind == "file" else EVIDENCE[kind]
            api.post(path + "answers/", {"item": todo["key"], "choice": "yes", "evidence": [evidence]})
            self.say(who, f"answers with a {kind}: {todo['title']}")
        elif todo["kind"] == "differences":
            keys = [key for key, role in handoff["report"]["asked"].items() if role == todo["role"]]
            api.post(path + "acknowledgements/", {"differences": keys, "comment": "Read, and fine with us."})
            self.say(who, f"acknowledges what nobody had declared: {', '.join(keys)}")
        else:
            sheet = api.get(f"{path}sheets/{todo['key']}/")
            proof = api.post("/api/v1/reauthentications/", {"password": self.password})
            body = {
                "requirement": todo["key"],
                "decision": "approve",
                "meaning": sheet["meaning"],
                "seen": sheet["seen"],
                "reauthentication": proof["id"],
            }
            signed = api.post(path + "signoffs/", body)
            self.say(
                who, f"signs ({sheet['meaning']}), password given again, statement {signed['statement_digest'][:12]}"
            )

    def origin(self, api: Api, path: str) -> dict[str, Any]:
        """Send a file that says where the data come from, and return it as evidence."""
        file = self.files / "origin.txt"
        file.write_text(ORIGIN)
        return {
            "kind": "file",
            "label": file.name,
            "receipt": api.upload(f"{path}evidence/", {}, {"file": file})["receipt"],
        }

    def watch_tests(self, path: str) -> None:
        """Tell each promotion test as it ends."""
        dana = self.as_("dana")
        told: set[str] = set()

        def look() -> dict[str, Any]:
            handoff = dana.get(path)
            for job in handoff["jobs"]:
                result = job["result"]
                if result and result["kind"] not in told and handoff["state"] in ("testing", "ready", "returned"):
                    told.add(result["kind"])
                    self.say("worker", f"{result['verdict']:<6} {result['kind']:<11} {result['summary']}")
            return dict(handoff)

        if dana.get(path)["state"] == "testing":
            self.say("", "The review gate is open; the promotion tests run side by side in Celery workers")
        wait_for(look, lambda h: h["state"] != "testing")

    def compare(self, handoffs: dict[str, dict[str, Any]]) -> None:
        """Tell side by side how much each policy has asked."""
        self.say("", "\nSide by side:")
        for name, handoff in handoffs.items():
            asked = [one for gate in handoff["gates"] for one in gate["requirements"] if one["needed"]]
            answers, signatures = (sum(one["kind"] == kind for one in asked) for kind in ("answer", "signoff"))
            self.say("", f"   {name:<22} {answers} answers, {signatures} signatures")

    def tell_owner(self, slug: str) -> None:
        """Tell who answers for the model now."""
        owner = self.as_("rita").get(f"/api/v1/owners-of-record/?model={slug}&environment=clinic")
        self.say("", f"Owner of record since this instant: {owner['person']['name']} of {owner['organisation']}")

    def tell_return(self, handoff: dict[str, Any]) -> None:
        """Tell why a handoff came back."""
        if handoff["return_note"]:
            note = handoff["return_note"]
            self.say("", f"Returned to data science ({', '.join(note['reasons'])}): {note['comment']}")

    def score(self, slug: str, folder: str) -> None:
        """Score real records on the live endpoint, and show that a bad one is refused."""
        lines = (self.files / folder / "validation.jsonl").read_text().splitlines()[30:33]
        records = [json.loads(line) for line in lines]
        engine = Api(self.engine)
        for number, record in enumerate(records, start=1):
            answer = engine.post(f"/v2/models/{slug}/infer", {"inputs": _tensors(record["input"])})
            outputs = {o["name"]: o["data"] for o in answer["outputs"]}
            chance = float(outputs["probabilities"][1])
            self.say(
                "engine",
                f"record {number}: benign with probability {chance:.3f}; in truth {TRUTH[record['label']]}",
            )
        bad = dict(records[0]["input"], mean_radius=-4.0)
        try:
            engine.post(f"/v2/models/{slug}/infer", {"inputs": _tensors(bad)})
        except ApiError as refusal:
            self.say("engine", f"a record outside the schema is refused: {refusal.body['error']}")


def missing_in(gate: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a gate still waits for; what is advisory it does not wait for."""
    return [one for one in gate["requirements"] if one["needed"] and not one["met"]]


def _tensors(record: dict[str, float]) -> list[dict[str, Any]]:
    return [{"name": n, "shape": [1], "datatype": "FP64", "data": [v]} for n, v in record.items()]


def rows_in(folder: Path) -> int:
    """Return how many rows a folder of Parquet files holds."""
    return sum(parquet.read_metadata(path).num_rows for path in folder.glob("*.parquet"))
