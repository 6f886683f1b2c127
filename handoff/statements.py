"""A person's signature: the statement of all that was signed, with the site's signature and that of their own key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import uuid4

from audit.actors import Person
from audit.assertions import challenge_of
from audit.models import Account
from handoff.confirmations import Proof
from handoff.facts import Known
from handoff.rules.scopes import digest
from handoff.rules.statements import KIND, PREDICATE, intent_of, stated


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person decides on one requirement, in a role, and what their signature means."""

    requirement: str
    role: str
    decision: str
    meaning: str
    comment: str


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, and for whom: the name as it is printed, and as the statement and the trail have it, by marks."""

    printed_name: str
    behalf: int | None
    person: Mapping[str, Any]
    standing_in: Mapping[str, Any]


def signer_of(actor: Person, role: str, known: Known) -> Signer:
    """Return how an actor who signs in a role is told of; whoever they stand in for costs one more statement."""
    chain = known.facts.chain
    printed_name, behalf = chain.printed_name(role, actor.user_id, actor.label), chain.delegator(role, actor.user_id)
    if behalf is None:
        return Signer(printed_name, None, {"account": actor.user_id, "printed_name": actor.mark}, {})
    mark = Account.objects.get(pk=behalf).mark
    person = {"account": actor.user_id, "printed_name": f"{actor.mark} for {mark}"}
    return Signer(printed_name, behalf, person, {"for": {"account": behalf, "printed_name": mark}})


def told_for(statement: str) -> dict[str, str]:
    """Return for whom a statement was signed, as the trail tells it; nothing where the signer signed for themselves."""
    predicate = json.loads(statement)["predicate"]
    return {"for": predicate["for"]["printed_name"]} if "for" in predicate else {}


def signed_columns(
    about: Mapping[str, Any],
    answer: Answer,
    scope: dict[str, str],
    *,
    actor: Person,
    known: Known,
    proof: Proof,
    version: str,
    kind: str = PREDICATE,
) -> dict[str, Any]:
    """Return the columns of a signature; its statement's bytes hash to the digest that is shown everywhere.

    `about` says what is signed, and goes into the statement; `scope` holds the digests of all that is covered. Raises
    NotConfirmed where the signer's own key confirmed another intent.
    """
    signer = signer_of(actor, answer.role, known)
    key, scope_digest = uuid4(), digest(scope)
    told = {
        "requirement": answer.requirement,
        "role": answer.role,
        "decision": answer.decision,
        "meaning": answer.meaning,
        "comment": answer.comment,
        "scope": scope,
        "scope_digest": scope_digest,
    }
    predicate = {
        **about,
        **told,
        "signoff": str(key),
        "person": signer.person,
        "confirmed": {"method": proof.method, "id": proof.reauthentication},
        "signed_at": proof.at.isoformat(),
        "previous_event": known.head,
        **signer.standing_in,
        **({"personal_key": proof.assertion} if proof.assertion else {}),
    }
    proof.require(challenge_of(intent_of(predicate)).hex())
    body = stated(predicate, version=version, kind=kind)
    return told | {
        "id": key,
        "signer": actor.user,
        "behalf_of_id": signer.behalf,
        "printed_name": signer.person["printed_name"],
        "statement": body.decode(),
        "statement_digest": sha256(body).hexdigest(),
        "key_id": proof.key.id,
        "signature": proof.key.sign(KIND, body),
        "reauthentication_id": proof.reauthentication,
        "signed_at": proof.at,
    }
