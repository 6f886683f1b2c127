"""Gather, in one statement, all the facts that the gates of handoffs are judged on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db import connection
from django.utils import timezone

from audit.planning import planned_once
from handoff.compared import CHANGE, change_in
from handoff.happened import HAPPENED
from handoff.models import Handoff
from handoff.rules.amendments import Given, Proposed
from handoff.rules.answers import AnswerFact
from handoff.rules.break_glass import BreakGlassFact
from handoff.rules.checklists import ChecklistItem
from handoff.rules.consumers import ConsumerFact, parts_of, role_of
from handoff.rules.duties import Chain
from handoff.rules.gate_facts import EmergencyFact
from handoff.rules.gates import Facts, FindingFact, SignOffFact, TestFact, WaiverFact
from handoff.rules.lapses import ConditionFact, EndedFact
from handoff.rules.policies import GATES, PolicyRules, parse
from handoff.rules.reattestation import TriggerFact, asked_anew
from handoff.rules.scopes import digest
from handoff.rules.standard_changes import MEASURED_BY, judge, scope_of
from handoff.rules.watches import CanaryFact, Counts, read_counts
from models_registry.roles import DUTIES, digest_of_duty

HELD_ON_MODEL = [str(role) for role, duty in DUTIES.items() if duty.held_on == "model"]
BUILT_IN = {str(role): digest_of_duty(role, duty.text) for role, duty in DUTIES.items()}
HELD_ON_ENVIRONMENT = [str(role) for role, duty in DUTIES.items() if duty.held_on == "environment"]

FACTS = """
SELECT h.id, json_build_object(
  'held', (SELECT json_agg(json_build_array(
        held.role, u.id, u.kind,
        COALESCE(NULLIF(btrim(u.first_name || ' ' || u.last_name), ''), u.username), held.for_id)
        ORDER BY u.id, held.for_id)
      FROM (
        SELECT g.role, g.account_id, g.for_id FROM models_registry_holding g
         WHERE g.model_id = h.model_id AND g.role = ANY(%(on_model)s)
         UNION
        SELECT g.role, g.account_id, g.for_id FROM models_registry_holding g
         WHERE g.environment_id = h.target_id AND g.role = ANY(%(on_environment)s)
      ) held JOIN audit_account u ON u.id = held.account_id WHERE u.is_active),
  'answers', (SELECT json_agg(json_build_array(
        a.item, a.choice, a.reason, COALESCE(u.responsible_id, u.id),
        (SELECT json_agg(json_build_array(e.kind, e.label, e.blob_id, e.link, e.figure,
                COALESCE('test:' || e.test_id, 'answer:' || e.other_id),
                EXISTS (SELECT FROM handoff_damage d WHERE d.blob_id = e.blob_id AND d.mended_at IS NULL))
                ORDER BY e.id)
           FROM handoff_evidence e WHERE e.answer_id = a.id AND (e.other_id IS NULL OR NOT EXISTS (
             SELECT FROM handoff_answer o JOIN handoff_answer later ON later.handoff_id = o.handoff_id
                AND later.item = o.item AND later.id > o.id WHERE o.id = e.other_id))
            AND (e.replay_id IS NULL OR NOT EXISTS (
             SELECT FROM handoff_replay r
               CROSS JOIN LATERAL (VALUES (h.source_id, r.creation), (h.target_id, r.production)) side (place, told)
               LEFT JOIN models_registry_stream s ON s.environment_id = side.place
                AND s.slug = side.told->>'stream' AND s.retired_at IS NULL
              WHERE r.id = e.replay_id AND s.digest IS DISTINCT FROM side.told->>'digest'))),
        extract(epoch FROM clock_timestamp() - a.answered_at) / 86400,
        COALESCE(NULLIF(btrim(n.first_name || ' ' || n.last_name), ''), n.username)) ORDER BY a.id)
      FROM handoff_answer a JOIN audit_account u ON u.id = a.answered_by_id
      JOIN audit_account n ON n.id = COALESCE(u.responsible_id, u.id) WHERE a.handoff_id = h.id),
  'replays', (SELECT count(*) FROM handoff_replay r WHERE r.handoff_id = h.id AND r.outcome = 'equal'
      AND NOT EXISTS (SELECT FROM (VALUES (h.source_id, r.creation), (h.target_id, r.production)) side (place, told)
        LEFT JOIN models_registry_stream s ON s.environment_id = side.place
         AND s.slug = side.told->>'stream' AND s.retired_at IS NULL
        WHERE s.digest IS DISTINCT FROM side.told->>'digest')),
  'asked', (SELECT json_agg(json_build_array(w.id, COALESCE(u.responsible_id, u.id)) ORDER BY w.asked_at)
      FROM handoff_waiver w JOIN audit_account u ON u.id = w.asked_by_id
      WHERE w.handoff_id = h.id AND w.answer = ''),
  'waivers', (SELECT json_agg(json_build_array(
        w.kind || ':' || w.requirement, w.id, w.until,
        COALESCE(NULLIF(btrim(u.first_name || ' ' || u.last_name), ''), u.username), w.asked_by_id, w.control,
        w.revoked_at IS NULL, w.reason, w.answered_by_id) ORDER BY w.answered_at)
      FROM handoff_waiver w JOIN audit_account u ON u.id = w.answered_by_id
      WHERE w.handoff_id = h.id AND w.answer = 'approved'),
  'owner', (SELECT json_build_array(COALESCE(NULLIF(btrim(o.first_name || ' ' || o.last_name), ''), o.username), o.id)
      FROM models_registry_environment t JOIN audit_account o ON o.id = t.owner_id
      WHERE t.id = h.target_id AND o.is_active),
  'duties', (SELECT json_agg(json_build_array(k.role, k.digest,
        (SELECT r.digest FROM models_registry_dutyrevision r WHERE r.role = k.role ORDER BY r.number DESC LIMIT 1)))
      FROM models_registry_environment t JOIN models_registry_dutyacknowledgement k ON k.person_id = t.owner_id
      WHERE t.id = h.target_id),
  'acknowledged', (SELECT json_agg(json_build_array(
        k.difference, k.comment, k.acknowledged_by_id, k.mitigation) ORDER BY k.id)
      FROM handoff_acknowledgement k WHERE k.handoff_id = h.id),
  'signoffs', (SELECT json_agg(json_build_array(
        s.id, s.gate, s.requirement, s.role, s.signer_id,
        audit_spoken(s.printed_name, s.signer_id, s.behalf_of_id), s.decision, s.meaning, s.scope, s.signed_at,
        (SELECT json_agg(json_build_array(c.id, c.text, c.due_at, c.owner_id,
              COALESCE(NULLIF(btrim(u.first_name || ' ' || u.last_name), ''), u.username),
              (SELECT t.kind FROM handoff_conditionstep t WHERE t.condition_id = c.id ORDER BY t.id DESC LIMIT 1))
              ORDER BY c.number)
           FROM handoff_condition c JOIN audit_account u ON u.id = c.owner_id WHERE c.signoff_id = s.id),
        s.behalf_of_id, (SELECT u.is_active FROM audit_account u WHERE u.id = s.signer_id))
        ORDER BY s.signed_at)
      FROM handoff_signoff s WHERE s.handoff_id = h.id AND s.voided_at IS NULL),
  'ended', (SELECT json_agg(json_build_array(
        s.id, s.gate, s.requirement, s.role, s.signer_id,
        audit_spoken(s.printed_name, s.signer_id, s.behalf_of_id), s.voided_as, s.voided_because)
        ORDER BY s.voided_at)
      FROM handoff_signoff s WHERE s.handoff_id = h.id AND s.voided_as IN ('changed', 'expired', 'merged', 'revoked')),
  'tests', (SELECT json_agg(CASE WHEN t.sandbox = 'L0'
          THEN json_build_array(t.kind, t.verdict, t.version_digest, t.figures)
          ELSE json_build_array(t.kind, t.verdict, t.version_digest, t.figures, t.sandbox) END ORDER BY t.kind)
      FROM handoff_promotiontest t WHERE t.handoff_id = h.id),
  'builders', (SELECT json_agg(DISTINCT COALESCE(u.responsible_id, u.id))
      FROM models_registry_element e JOIN audit_account u ON u.id = e.set_by_id WHERE e.version_id = h.version_id),
  'authors', (SELECT json_build_array(v.digest, COALESCE(c.responsible_id, c.id), COALESCE(n.responsible_id, n.id))
      FROM models_registry_modelversion v JOIN audit_account c ON c.id = v.created_by_id
      LEFT JOIN audit_account n ON n.id = v.nominated_by_id WHERE v.id = h.version_id),
  'now', clock_timestamp(),
  'tier', (SELECT m.risk_tier FROM models_registry_registeredmodel m WHERE m.id = h.model_id),
  'offerers', (SELECT json_agg(DISTINCT COALESCE(u.responsible_id, u.id))
      FROM audit_account u WHERE u.id IN (h.drafted_by_id, h.offered_by_id)),
  'persons', (SELECT json_agg(json_build_array(p.id, p.same_person_id))
      FROM audit_account p WHERE p.same_person_id IS NOT NULL),
  'finding', (SELECT f.items FROM handoff_finding f
      WHERE f.handoff_id = h.id AND f.closed_at IS NULL AND f.suspends AND f.kind = 'drift'),
  'findings', (SELECT json_agg(json_build_array(
        f.id, f.items, f.severity, f.suspends, f.owner_id,
        COALESCE(NULLIF(btrim(u.first_name || ' ' || u.last_name), ''), u.username),
        to_char(f.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')) ORDER BY f.raised_at, f.id)
      FROM handoff_finding f LEFT JOIN audit_account u ON u.id = f.owner_id
      WHERE f.handoff_id = h.id AND f.closed_at IS NULL AND f.kind NOT IN ('drift', 'approval', 'attest')),
  'amendments', (SELECT json_agg(json_build_array(a.id, a.number, a.reason, a.requirements,
        (SELECT json_agg(json_build_array(s.requirement, s.signer_id, s.behalf_of_id,
              audit_spoken(s.printed_name, s.signer_id, s.behalf_of_id)))
           FROM handoff_amendmentsignoff s WHERE s.amendment_id = a.id)) ORDER BY a.proposed_at)
      FROM handoff_amendment a JOIN handoff_deployment d ON d.id = a.deployment_id
      WHERE d.handoff_id = h.id AND d.state = 'live' AND a.state = 'proposed'),
  'consumers', (SELECT json_agg(json_build_array(c.id, c.name, s.slug, u.id,
        COALESCE(NULLIF(btrim(u.first_name || ' ' || u.last_name), ''), u.username), u.is_active,
        json_build_array(c.id, v.digest, q.fields, q.compatibility, q.changes)) ORDER BY c.name, c.id)
      FROM (SELECT DISTINCT ON (a.consumer_id) a.* FROM handoff_askedconsumer a WHERE a.handoff_id = h.id
             ORDER BY a.consumer_id, a.number DESC) q
      JOIN models_registry_consumer c ON c.id = q.consumer_id JOIN models_registry_stream s ON s.id = c.stream_id
      JOIN audit_account u ON u.id = c.owner_id JOIN models_registry_modelversion v ON v.id = q.live_id
     WHERE c.retired_at IS NULL),
  'glass', (SELECT json_agg(json_build_array(
        b.state, b.id, b.until, b.incident, audit_spoken(b.printed_name, b.confirmed_by_id, b.behalf_of_id),
        COALESCE(NULLIF(btrim(u.first_name || ' ' || u.last_name), ''), u.username),
        b.confirmed_by_id, b.behalf_of_id, b.role, b.asked_by_id, b.confirm_by) ORDER BY b.asked_at)
      FROM handoff_breakglass b JOIN audit_account u ON u.id = b.asked_by_id WHERE b.handoff_id = h.id),
  'head', (SELECT encode(e.hash, 'hex') FROM audit_auditevent e
      WHERE e.chain = 'handoff:' || h.id ORDER BY e.seq DESC LIMIT 1),
  'deployment', (SELECT json_build_array(d.id, d.state) FROM handoff_deployment d
      WHERE d.handoff_id = h.id ORDER BY d.ordered_at DESC LIMIT 1),
  'canary', (SELECT json_build_array(extract(epoch FROM clock_timestamp() - w.began_at) / 60, w.scored, w.failed,
        w.refused, w.records, w.buckets, extract(epoch FROM clock_timestamp() - w.seen_at) / 60)
      FROM handoff_deployment d LEFT JOIN handoff_watch w ON w.deployment_id = d.id
      WHERE d.handoff_id = h.id AND d.state = 'confirming'),
  'happened', """
SQL = FACTS + HAPPENED + ", 'change', " + CHANGE + ")::text FROM handoff_handoff h WHERE h.id = "
OF_ONE = SQL + "%(id)s"
# Behind a query, lists are all alike to the planner; else it plans anew for each, which takes longer than to answer.
OF_MANY = SQL + "ANY(ARRAY(SELECT unnest(%(ids)s::uuid[])))"
PARAMETERS = {"on_model": HELD_ON_MODEL, "on_environment": HELD_ON_ENVIRONMENT, "measured_by": MEASURED_BY}


@dataclass(frozen=True, slots=True)
class Known:
    """The facts of one handoff, who holds which role on it (service accounts included), and its last event's hash.

    `ended` are the sign-offs that ended without their signer's wish to sign anew, the latest last; `amendments` those
    of its live deployment that wait for signatures; `glass` all break-glass on record.
    """

    facts: Facts
    roles: Mapping[int, frozenset[str]]
    head: str
    ended: tuple[EndedFact, ...] = ()
    amendments: tuple[Proposed, ...] = ()
    glass: tuple[BreakGlassFact, ...] = ()

    @property
    def emergency(self) -> EmergencyFact | None:
        """Return the break-glass that was confirmed and has not ended."""
        return next((one.emergency for one in self.glass if one.emergency), None)

    @property
    def hurried(self) -> Facts:
        """Return the facts for a decision to act, with the break-glass on which it may rest."""
        emergency = self.emergency
        return replace(self.facts, emergency=emergency) if emergency else self.facts

    def sees(self, account: int) -> bool:
        """Tell whether an account may know of the handoff."""
        return account in self.roles

    def holds(self, account: int, role: str) -> bool:
        """Tell whether an account holds a role on the handoff now."""
        return role in self.roles.get(account, frozenset())


@lru_cache(maxsize=256)
def _parsed(policy_digest: str, content: str) -> PolicyRules:
    return parse(orjson.loads(content))


def rules_of(handoff: Handoff) -> PolicyRules:
    """Return the rules that were copied into a handoff when it was offered."""
    return _parsed(handoff.policy_digest, orjson.dumps(handoff.policy).decode())


def known_of(handoff: Handoff) -> Known:
    """Return the facts of a handoff as they are now, by one query."""
    ((_, text),) = _rows(OF_ONE, {"id": handoff.pk})
    return _known(handoff, orjson.loads(text))


def known_of_many(handoffs: Sequence[Handoff]) -> dict[UUID, Known]:
    """Return the facts of several handoffs by one query, under their keys."""
    by_key = {handoff.pk: handoff for handoff in handoffs}
    return {key: _known(by_key[key], orjson.loads(text)) for key, text in _rows(OF_MANY, {"ids": list(by_key)})}


def _rows(statement: str, of: dict[str, Any]) -> list[tuple[UUID, str]]:
    with planned_once(), connection.cursor() as cursor:
        cursor.execute(statement, PARAMETERS | of)
        return cursor.fetchall()


def _known(handoff: Handoff, found: Mapping[str, Any]) -> Known:
    raw = {name: value or [] for name, value in found.items()}
    consumers = tuple(ConsumerFact(*row) for row in raw["consumers"])
    roles, holders = _with_owners(*_holders(raw["held"]), consumers)
    consumers = tuple(one for one in consumers if one.concerned)
    persons = dict(raw["persons"])
    # What was signed keeps the accounts that answered; who they are is judged by the person.
    answers = [[*row[:3], persons.get(row[3], row[3]), *row[4:]] for row in raw["answers"]]
    facts = Facts(
        version=raw["authors"][0],
        parts=_parts(handoff, raw),
        differences=tuple((handoff.report or {}).get("undeclared", ())),
        answering=(handoff.report or {}).get("asked", {}),
        moved=dict(raw["finding"]),
        findings=tuple(FindingFact(str(f[0]), "; ".join(f[1].values()), *f[2:]) for f in raw["findings"]),
        answers=_answers(handoff, answers),
        acknowledged={k[0]: k[2] for k in raw["acknowledged"]},
        signoffs=_signoffs(handoff, raw, holders),
        tests={kind: TestFact(verdict, of, *rest[1:]) for kind, verdict, of, *rest in raw["tests"]},
        holders=holders,
        chain=_chain(raw, holders),
        tier=str(raw["tier"]),
        now=datetime.fromisoformat(str(raw["now"])),
        waivers=_waivers(raw["waivers"]),
        waivers_asked={str(pk): persons.get(person, person) for pk, person in raw["asked"]},
        exceptions=tuple(one["name"] for one in (handoff.report or {}).get("items", ()) if one.get("waived_until")),
        replays=int(found["replays"]),
        owner=raw["owner"][0] if raw["owner"] else "",
        owner_account=raw["owner"][1] if raw["owner"] else None,
        owner_operates=bool(raw["owner"]) and raw["owner"][1] in holders.get("it_operations", {}),
        owner_duties=_duties(raw["owner"][1], raw["duties"], holders) if raw["owner"] else {},
        consumers=consumers,
        change=change_in(handoff, found["change"], raw["tests"]),
        canary=_canary(raw["canary"]),
    )
    ended = tuple(EndedFact(*row) for row in raw["ended"])
    proposed = tuple(_proposed(row) for row in raw["amendments"])
    glass = tuple(BreakGlassFact(*row) for row in raw["glass"])
    return Known(facts, roles, str(raw["head"] or ""), ended, proposed, glass)


def _canary(row: Sequence[Any]) -> CanaryFact | None:
    """Return how far the canary is; one that no worker has looked at yet is at its beginning."""
    if not row:
        return None
    minutes, *kept, unseen = row
    counts = read_counts(kept) if minutes is not None else Counts()
    return CanaryFact(float(minutes or 0), counts.scored, counts.failed, counts.p99_ms, unseen)


def _duties(
    owner: int, rows: Sequence[Sequence[str | None]], holders: Mapping[str, Mapping[int, str]]
) -> dict[str, bool]:
    """Return the roles that the owner of the target holds, with whether they acknowledged what each answers for now."""
    told = {role for role, digest, newest in rows if role and digest == (newest or BUILT_IN.get(role))}
    return {role: role in told for role, people in holders.items() if owner in people and role in BUILT_IN}


def _proposed(row: list[Any]) -> Proposed:
    key, number, reason, requirements, signed = row
    roles = {one["key"]: one["role"] for one in requirements}
    return Proposed(str(key), number, reason, roles, tuple(Given(*one) for one in signed or ()))


def _holders(held: list[list[Any]]) -> tuple[dict[int, frozenset[str]], dict[str, dict[int, str]]]:
    roles: dict[int, set[str]] = {}
    holders: dict[str, dict[int, str]] = {}
    for role, account, kind, name, _ in held:
        roles.setdefault(account, set()).add(role)
        if kind == "person":
            holders.setdefault(role, {})[account] = name
    return {account: frozenset(found) for account, found in roles.items()}, holders


def _with_owners(
    roles: dict[int, frozenset[str]], holders: dict[str, dict[int, str]], consumers: Sequence[ConsumerFact]
) -> tuple[dict[int, frozenset[str]], dict[str, dict[int, str]]]:
    """Let the owners of consumers that are or were asked know of it, and act as such, though they hold no role."""
    for one in consumers:
        if one.active:
            role = role_of(one.owner)
            roles[one.owner] = roles.get(one.owner, frozenset()) | {role}
            holders[role] = {one.owner: one.owner_name}
    return roles, holders


def _answers(handoff: Handoff, rows: list[list[Any]]) -> dict[str, AnswerFact]:
    """Return the latest answer to each item, and who answered it, each with their own latest."""
    items = {item.key: item for gate in rules_of(handoff).gates.values() for item in gate.checklist} if rows else {}
    people: dict[str, dict[int, tuple[int, str, str]]] = {}
    for item, choice, _, person, _, _, name in rows:
        people.setdefault(item, {})[person] = (person, name, choice)
    return {row[0]: _answer(row, items.get(row[0]), tuple(people[row[0]].values())) for row in rows}


def _answer(row: list[Any], item: ChecklistItem | None, people: tuple[tuple[int, str, str], ...]) -> AnswerFact:
    _, choice, _, person, evidence, age, _ = row
    return AnswerFact(
        choice,
        person,
        tuple(one[0] for one in evidence or ()),
        figures=tuple(one[4] for one in evidence or () if one[0] == "figure"),
        people=people,
        reopened=_reopened(evidence or (), age, item.valid_days if item is not None else 0),
    )


def _waivers(rows: list[list[Any]]) -> dict[str, WaiverFact]:
    """Return the waiver of each requirement that counts and ends last, or the last one that ended."""
    today = timezone.localdate().isoformat()
    found: dict[str, WaiverFact] = {}
    for key, pk, until, name, asked_by, control, stands, _, approver in rows:
        waiver = WaiverFact(str(pk), until, name, asked_by, control, stands and until >= today, approver)
        if key not in found or (waiver.counts, until) >= (found[key].counts, found[key].until):
            found[key] = waiver
    return found


def _signed_waivers(rows: list[list[Any]], kind: str, keys: Sequence[str]) -> list[list[Any]]:
    """Return what a signature covers of waivers: of each requirement the first, so that renewing one voids nothing."""
    first: dict[str, list[Any]] = {}
    for key, _, until, _, _, control, _, reason, approver in rows:
        first.setdefault(key, [key, until, approver, control, reason])
    return [first[f"{kind}:{key}"] for key in keys if f"{kind}:{key}" in first]


def _reopened(evidence: Sequence[Any], age: float, valid_days: int) -> str:
    """Return why an answer does not count any more; nothing if it does."""
    damaged = [one[1] for one in evidence if one[6]]
    if damaged:
        return f"the stored bytes of its evidence are damaged: {', '.join(damaged)}"
    return f"the answer is older than {valid_days} days" if valid_days and age > valid_days else ""


def _signed_answers(rows: list[list[Any]], two_people: frozenset[str]) -> dict[str, list[Any]]:
    """Return what a signature covers of the answer to each item: the latest, and of two people that of each.

    What it was in earlier releases stays the same to the byte, for signatures cover it.
    """
    found: dict[str, dict[Any, list[Any]]] = {}
    for item, choice, reason, person, evidence, _, _ in rows:
        whose = person if item in two_people else ""
        backed = [[*one[:5], *filter(None, one[5:6])] for one in evidence or ()]
        found.setdefault(item, {})[whose] = [item, choice, reason, backed]
    return {
        item: [[whose, *answer] for whose, answer in sorted(by.items())] if item in two_people else by[""]
        for item, by in found.items()
    }


def _signoffs(
    handoff: Handoff, raw: Mapping[str, Any], holders: Mapping[str, Mapping[int, str]]
) -> tuple[SignOffFact, ...]:
    """Return the sign-offs, with when and why each is asked for anew."""
    found = tuple(_signoff(row, holders) for row in raw["signoffs"])
    happened = tuple(TriggerFact(*row) for row in raw["happened"])
    return asked_anew(rules_of(handoff).reattestation, found, happened) if handoff.policy else found


def _signoff(row: list[Any], holders: Mapping[str, Mapping[int, str]]) -> SignOffFact:
    key, gate, requirement, role, person, name, decision, meaning, scope, signed_at, conditions, behalf, active = row
    open_ = tuple(
        ConditionFact(str(number), text, due, owner, who, step == "reported")
        for number, text, due, owner, who, step in conditions or ()
        if step != "accepted"
    )
    entitled = active and (person if behalf is None else behalf) in holders.get(role, {})
    about = (str(key), gate, requirement, role, person, name, decision, meaning, scope, entitled)
    return SignOffFact(*about, signed_at=signed_at, conditions=open_, behalf=behalf)


def contents_of(handoff: Handoff) -> dict[str, Any]:
    """Return what signatures cover by a digest, part by part, as it is now; one query. Of an offered handoff."""
    ((_, text),) = _rows(OF_ONE, {"id": handoff.pk})
    raw = {name: value or [] for name, value in orjson.loads(text).items()}
    return _contents(handoff, raw) | {"report": handoff.report, "policy": handoff.policy}


def _contents(handoff: Handoff, raw: Mapping[str, Any]) -> dict[str, Any]:
    rules = rules_of(handoff) if handoff.policy else None
    asked = [item for gate in rules.gates.values() for item in gate.checklist] if rules else []
    latest = _signed_answers(raw["answers"], frozenset(item.key for item in asked if item.two_people))
    items = {gate: _items(handoff, gate) for gate in GATES}
    answers = {gate: [latest[item] for item in items[gate] if item in latest] for gate in GATES}
    waived = {gate: _signed_waivers(raw["waivers"], "item", items[gate]) for gate in GATES}
    tests = _signed_waivers(raw["waivers"], "test", rules.tests if rules else ())
    acknowledged = sorted(_acknowledged(row) for row in raw["acknowledged"])
    results = {"results": [*raw["tests"], *tests]} if raw["tests"] else {}
    return {
        "bindings": handoff.bindings,
        "answers": [answers["review"], acknowledged, *filter(None, [waived["review"]])],
        "release_answers": [*answers["release"], *waived["release"]],
        "confirm_answers": [*answers["confirm"], *waived["confirm"]],
    } | (results | _change(handoff, raw) | parts_of(ConsumerFact(*row) for row in raw["consumers"]))


def _change(handoff: Handoff, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what signatures cover of the kind of the change; nothing where all sign."""
    change = change_in(handoff, raw["change"] or None, raw["tests"])
    return scope_of(judge(rules_of(handoff).lighter, change), change) if change else {}


def _parts(handoff: Handoff, raw: Mapping[str, Any]) -> dict[str, str]:
    return (
        {"results": ""}
        | {part: digest(content) for part, content in _contents(handoff, raw).items()}
        | {
            "handoff": str(handoff.pk),
            "version": raw["authors"][0],
            "source": str(handoff.source_id),
            "target": str(handoff.target_id),
            "report": handoff.report_digest,
            "policy": handoff.policy_digest,
            "deployment": str(raw["deployment"][0]) if raw["deployment"] else "",
        }
    )


def _acknowledged(row: Sequence[Any]) -> list[str]:
    """Return what a signature covers of an acknowledgement; words about a mitigation only where there are any."""
    return [*row[:2], *filter(None, row[3:])]


def _items(handoff: Handoff, gate: str) -> list[str]:
    return [item.key for item in rules_of(handoff).gate(gate).checklist] if handoff.policy else []


def _chain(raw: Mapping[str, Any], holders: Mapping[str, Mapping[int, str]]) -> Chain:
    acts: dict[int, dict[str, None]] = {}
    persons = dict(raw["persons"])
    _, creator, nominator = raw["authors"]
    for person, sentence in (
        (creator, "created this version"),
        (nominator, "nominated this version"),
        *((person, "supplied elements of this version") for person in raw["builders"]),
        *((person, "offered this handoff") for person in raw["offerers"]),
        *((answer[3], "answered checklist items of this handoff") for answer in raw["answers"]),
    ):
        if person is not None:
            acts.setdefault(persons.get(person, person), {})[sentence] = None
    signed = {persons.get(one, one): s[3] for s in raw["signoffs"] for one in (s[4], s[11]) if one is not None}
    signed |= {persons.get(one, one): g[8] for g in raw["glass"] for one in (g[6], g[7]) if one is not None}
    told = {person: tuple(found) for person, found in acts.items()}
    return Chain(told, signed, persons, _stands_for(raw["held"], holders))


def _stands_for(
    held: list[list[Any]], holders: Mapping[str, Mapping[int, str]]
) -> dict[str, dict[int, tuple[int, str]]]:
    """Return who holds a role for whom; whoever holds it themselves, too, stands for nobody."""
    own = {(role, account) for role, account, _, _, behalf in held if behalf is None}
    found: dict[str, dict[int, tuple[int, str]]] = {}
    for role, account, _, _, behalf in held:
        if behalf is not None and (role, account) not in own:
            found.setdefault(role, {})[account] = (behalf, holders.get(role, {}).get(behalf, ""))
    return found
