"""How many SQL queries each page and each reading endpoint costs: a constant each, however much there is to show."""

from importlib import import_module
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import resolve

from tests.queries import counting
from tests.queries.counting import Site, sql_of

pytestmark = pytest.mark.django_db

# Address, who asks, and how many queries that is; session, account and the number in the menu, which is kept for a
# minute, included.
PAGES = [
    ("/", "dana", 11),
    ("/handoffs/", "dana", 8),
    ("/handoffs/?view=list", "dana", 9),
    ("/handoffs/new/?model=tumours&version=7", "dana", 25),
    ("/handoffs/{draft}/", "dana", 19),
    ("/handoffs/{offered}/", "dana", 16),
    ("/handoffs/{answered}/", "vera", 16),
    ("/handoffs/{testing}/", "dana", 16),
    ("/handoffs/{ready}/", "otto", 16),
    ("/handoffs/{live}/", "dana", 16),
    ("/handoffs/{testing}/progress/", "dana", 6),
    ("/handoffs/{draft}/differences/", "dana", 14),
    ("/handoffs/{answered}/differences/?facet=tools", "otto", 11),
    ("/handoffs/{live}/differences/print/", "dana", 8),
    ("/handoffs/{answered}/sign/validation/", "vera", 14),
    ("/handoffs/{live}/signoffs/{signoff}/", "dana", 6),
    ("/handoffs/{ready}/sign/release/", "otto", 15),
    ("/handoffs/{answered}/adopt/", "vera", 13),
    ("/handoffs/{live}/replays/", "otto", 13),
    ("/handoffs/{answered}/signers/", "vera", 7),
    ("/handoffs/{answered}/duties.csv", "vera", 6),
    ("/handoffs/duties.csv", "rita", 5),
    ("/delegations/", "vera", 5),
    ("/deployments/", "otto", 10),
    ("/deployments/{deployment}/", "otto", 10),
    ("/deployments/{deployment}/progress/", "otto", 4),
    ("/deployments/{deployment}/run/", "otto", 3),
    ("/deployments/{batch}/", "otto", 18),
    ("/deployments/{batch}/run/", "otto", 5),
    ("/deployments/{batch}/runs/1/", "otto", 5),
    ("/deployments/{deployment}/retire/", "otto", 7),
    ("/owners-of-record/", "otto", 9),
    ("/reconciliation/", "otto", 10),
    ("/invariants/", "rita", 7),
    ("/findings/?overdue=1", "otto", 5),
    ("/checklists/", "dana", 4),
    ("/checklists/ml-test-score/", "dana", 3),
    ("/deployments/{deployment}/amendments/new/", "iris", 6),
    ("/amendments/{amendment}/", "iris", 9),
    ("/personal-keys/", "vera", 5),
    ("/api/v1/accounts/leavers/", "ada", 3),
    ("/policies/", "ada", 4),
    ("/policies/light/1/", "dana", 4),
    ("/policies/publish/?from=light", "ada", 4),
    ("/policies/checklists/publish/", "ada", 4),
    ("{link}", "", 1),
    ("/models/tumours/versions/new/", "dana", 4),
    ("/models/tumours/versions/1/elements/golden/", "dana", 8),
    ("/models/", "dana", 6),
    ("/models/new/", "dana", 3),
    ("/models/tumours/", "dana", 9),
    ("/models/tumours/change/", "dana", 4),
    ("/models/tumours/versions/1/", "dana", 13),
    ("/models/tumours/versions/20/", "dana", 8),
    ("/models/tumours/versions/1/schemas/mlflow/", "dana", 7),
    ("/environments/", "otto", 5),
    ("/environments/production/", "otto", 17),
    ("/environments/production/as-it-was/", "otto", 14),
    ("/environments/production/streams/scores/", "iris", 12),
    ("/environments/production/streams/scores/?version=tumours/1", "iris", 17),
    ("/environments/production/streams/new/", "iris", 7),
    ("/environments/production/streams/scores/change/", "iris", 9),
    ("/environments/production/streams/scores/consumers/new/", "iris", 9),
    ("/environments/production/streams/scores/consumers/{consumer}/change/", "iris", 10),
    ("/environments/production/streams/scores/consumers/{consumer}/retire/", "iris", 8),
    ("/environments/production/exceptions/", "dana", 8),
    ("/environments/production/exceptions/new/?library=torch&version=2.5.0", "dana", 6),
    ("/environments/production/exceptions/{exception}/", "otto", 7),
    ("/duties/", "vera", 16),
    ("/handoffs/{offered}/break-glass/{glass}/", "otto", 8),
    ("/changes/?since=2026-01-01&until=2099-01-01", "rita", 4),
    ("/lead-times/", "rita", 5),
    ("/audit/", "rita", 8),
    ("/audit/heads/", "rita", 10),
    ("/audit/proof/?chain=handoff:{live}&seq=1", "rita", 10),
    ("/account/login/", "", 0),
    ("/healthz/live", "", 0),
    ("/healthz/ready", "", 1),
]
ENDPOINTS = [
    ("/api/v1/me/", "dana", 2),
    ("/api/v1/inbox/", "dana", 6),
    ("/api/v1/models/", "dana", 2),
    ("/api/v1/models/tumours/", "dana", 3),
    ("/api/v1/models/tumours/roles/", "dana", 4),
    ("/api/v1/models/tumours/versions/", "dana", 3),
    ("/api/v1/models/tumours/versions/1/", "dana", 6),
    ("/api/v1/models/tumours/versions/1/elements/thresholds/", "dana", 6),
    ("/api/v1/models/tumours/versions/1/manifest/", "dana", 6),
    ("/api/v1/models/tumours/versions/1/schemas/avro/", "dana", 6),
    ("/api/v1/models/tumours/versions/20/compatibility/", "dana", 5),
    ("/api/v1/models/tumours/versions/1/verdicts/", "dana", 9),
    ("/api/v1/organisations/", "dana", 2),
    ("/api/v1/duties/", "vera", 8),
    ("/api/v1/delegations/", "vera", 2),
    ("/api/v1/reassignments/", "vera", 6),
    ("/api/v1/handoffs/{answered}/signers/", "vera", 5),
    ("/api/v1/raci/", "vera", 2),
    ("/api/v1/organisations/plant/roles/", "dana", 5),
    ("/api/v1/environments/", "otto", 3),
    ("/api/v1/environments/production/", "otto", 4),
    ("/api/v1/environments/production/roles/", "otto", 8),
    ("/api/v1/environments/production/moment/", "otto", 12),
    ("/api/v1/environments/production/streams/", "otto", 5),
    ("/api/v1/environments/production/streams/scores/", "otto", 5),
    ("/api/v1/environments/production/streams/scores/fit/?model=tumours&version=1", "otto", 10),
    ("/api/v1/environments/production/streams/scores/consumers/", "otto", 6),
    ("/api/v1/environments/production/streams/scores/consumers/{consumer}/", "otto", 6),
    ("/api/v1/environments/production/profiles/", "otto", 4),
    ("/api/v1/environments/production/profiles/2/", "otto", 7),
    ("/api/v1/environments/production/exceptions/?state=open&library=torch", "otto", 4),
    ("/api/v1/environments/production/exceptions/{exception}/", "otto", 4),
    ("/api/v1/personal-keys/", "vera", 2),
    ("/api/v1/checklists/", "dana", 2),
    ("/api/v1/checklists/ml-test-score/", "dana", 1),
    ("/api/v1/policies/", "dana", 2),
    ("/api/v1/policies/light/1/", "dana", 2),
    ("/api/v1/policies/schema/", "dana", 1),
    ("/api/v1/handoffs/", "dana", 4),
    ("/api/v1/handoffs/{draft}/", "dana", 14),
    ("/api/v1/handoffs/{answered}/", "dana", 10),
    ("/api/v1/handoffs/{live}/", "dana", 10),
    ("/api/v1/handoffs/{live}/decisions/", "dana", 4),
    ("/api/v1/handoffs/{live}/signoffs/{signoff}/", "dana", 5),
    ("/api/v1/handoffs/{live}/findings/", "dana", 4),
    ("/api/v1/findings/", "dana", 3),
    ("/api/v1/environments/production/findings/", "otto", 3),
    ("/api/v1/handoffs/{live}/waivers/", "dana", 4),
    ("/api/v1/handoffs/{offered}/break-glass/", "dana", 4),
    ("/api/v1/handoffs/{offered}/break-glass/{glass}/", "dana", 5),
    ("/api/v1/handoffs/{answered}/differences/?severity=medium", "dana", 9),
    ("/api/v1/handoffs/{live}/replays/", "dana", 4),
    ("/api/v1/handoffs/{live}/replays/1/", "dana", 4),
    ("/api/v1/handoffs/{answered}/adoption/", "vera", 10),
    ("/api/v1/handoffs/{answered}/sheets/validation/", "vera", 5),
    ("/api/v1/deployments/", "otto", 4),
    ("/api/v1/deployments/{deployment}/", "otto", 2),
    ("/api/v1/deployments/{batch}/", "otto", 2),
    ("/api/v1/deployments/{deployment}/suspensions/", "otto", 3),
    ("/api/v1/deployments/{batch}/runs/", "otto", 3),
    ("/api/v1/deployments/{batch}/runs/1/", "otto", 3),
    ("/api/v1/deployments/{deployment}/amendments/", "iris", 3),
    ("/api/v1/amendments/", "iris", 2),
    ("/api/v1/amendments/{amendment}/", "iris", 5),
    ("/api/v1/deployments/{deployment}/retirements/", "otto", 3),
    ("/api/v1/retirement-notices/", "otto", 2),
    ("/api/v1/owners-of-record/?environment=production&model=tumours", "otto", 2),
    ("/api/v1/events/", "rita", 5),
    ("/api/v1/health/", "ada", 15),
    ("/api/v1/reconciliation/", "otto", 5),
    ("/api/v1/invariants/", "rita", 5),
    ("/api/v1/reconciliation/table/", "otto", 5),
    ("/api/v1/changes/?since=2026-01-01&until=2099-01-01", "rita", 5),
    ("/api/v1/lead-times/?since=2026-01-01&until=2099-01-01", "rita", 3),
    ("/api/v1/keys/", "dana", 2),
    ("/api/v1/audit/heads/", "rita", 6),
    ("/api/v1/audit/proofs/inclusion/?chain=handoff:{live}&seq=1", "rita", 8),
    ("/api/v1/audit/proofs/consistency/?old={sealed}", "rita", 8),
]


def counts(site: Site) -> dict[str, int]:
    """Return what each address costs once the caches of a process are warm."""
    names, found = site.names(), {}
    for table, client_of in ((PAGES, site.browser), (ENDPOINTS, site.api)):
        for address, who, _ in table:
            client, path = client_of(who) if who else Client(), address.format(**names)
            sql_of(client, "get", path)
            found[address] = len(sql_of(client, "get", path))
    return found


# Addresses that only act (`test_acting`), or send a file that somebody attached.
ACTS = {
    *(f"handoff-{act}" for act in ("change", "offer", "withdraw", "deploy-again", "answer", "acknowledge", "evidence")),
    *("handoff-finding-accept", "api:finding-accept", "handoff-replay-order", "handoff-finding-file"),
    *(f"handoff-waiver-{act}" for act in ("ask", "answer", "withdraw", "revoke")),
    *(f"handoff-break-glass-{act}" for act in ("ask", "withdraw")),
    *(f"api:break-glass-{act}" for act in ("confirm", "withdraw")),
    *(f"api:waiver-{act}" for act in ("answer", "withdraw", "revoke")),
    *("handoff-finding-raise", "handoff-finding-close", "api:finding-close", "environment-finding-file"),
    *("environment-finding-close", "api:environment-finding-close"),
    *("handoff-signoff-revoke", "handoff-condition-report", "handoff-condition-judge", "api:signoff-revoke"),
    *(f"api:condition-{act}" for act in ("report", "accept", "reject")),
    *("amendment-sign", "amendment-withdraw", "api:amendment-signoffs", "api:amendment-withdraw"),
    *("handoff-sign-key", "amendment-sign-key", "personal-key-new", "personal-key-register", "personal-key-retire"),
    *("api:handoff-sheet-key", "api:amendment-key", "api:personal-key-question", "api:personal-key-retire"),
    *("api:reauthentications-by-key",),
    *("deployment-retire-cancel", "retirement-acknowledge", "api:deployment-retirement-cancel"),
    *("api:retirement-acknowledge",),
    *("handoff-signoff-withdraw", "handoff-pack", "deployment-try", "deployment-roll-back"),
    *("deployment-suspend", "deployment-lift", "api:deployment-suspension-lift"),
    *("deployment-run-now", "deployment-run-stop", "api:deployment-run-stop"),
    *(f"version-{act}" for act in ("element-remove", "infer-schemas", "nominate", "discard")),
    *(f"api:handoff-{act}" for act in ("offer", "withdraw", "evidence", "answers", "acknowledgements", "deploy-again")),
    *("api:handoff-signoffs", "api:handoff-pack", "api:signoff-withdraw", "api:reauthentications"),
    *(f"api:policy-{act}" for act in ("validate", "diff", "simulate")),
    *(f"{space}exception-{act}" for act in ("answer", "withdraw", "revoke") for space in ("", "api:")),
    *("stream-retire", "api:stream-retire", "api:consumer-retire"),
    *("duty-acknowledge", "api:duty-acknowledgements", "delegation-end", "api:delegation-end"),
    *("api:accounts-merge", "api:accounts-part", "api:accounts-pseudonymise", "api:leaver-hold", "api:leaver-lift"),
    *("api:job-retry", "api:job-cancel"),
    *("api:deployment-roll-back", "api:version-infer-schemas", "api:version-nominate", "api:version-discard"),
}
EXPECTED = {address: exactly for address, _, exactly in PAGES + ENDPOINTS}


def test_every_page_and_endpoint_costs_so_many_queries(site: Site) -> None:
    assert counts(site) == EXPECTED


def test_they_cost_the_same_with_twenty_rows_as_with_one(site: Site) -> None:
    for number in range(1, 20):
        counting.add_more(site, number)
    assert counts(site) == EXPECTED


def test_no_page_or_endpoint_is_forgotten() -> None:
    states = ("draft", "offered", "answered", "testing", "ready", "live")
    rows = ("deployment", "batch", "signoff", "consumer", "exception", "amendment", "glass")
    filled = dict.fromkeys((*states, *rows), str(uuid4()))
    counted = {
        resolve(address.format(**filled, link="/blobs/ab/", sealed=1).split("?")[0]).view_name for address in EXPECTED
    }
    for package in ("models_registry", "handoff", "audit"):
        for door, space in (("web", ""), ("api", "api:")):
            names = {f"{space}{one.name}" for one in import_module(f"{package}.{door}.urls").urlpatterns}
            assert names <= counted | ACTS
    assert not counted & ACTS
