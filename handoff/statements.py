"""A person's signature: the statement of all that was signed, with the site's signature and that of their own key."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import uuid4

from audit.actors import Person
from audit.assertions import challenge_of
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
    behalf, delegator = known.facts.chain.stands_for.get(answer.role, {}).get(actor.user_id, (None, ""))
    printed_name = known.facts.chain.printed_name(answer.role, actor.user_id, actor.label)
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
        "person": {"account": actor.user_id, "username": actor.user.username, "printed_name": printed_name},
        "confirmed": {"method": proof.method, "id": proof.reauthentication},
        "signed_at": proof.at.isoformat(),
        "previous_event": known.head,
        **({"for": {"account": behalf, "printed_name": delegator}} if delegator else {}),
        **({"personal_key": proof.assertion} if proof.assertion else {}),
    }
    proof.require(challenge_of(intent_of(predicate)).hex())
    body = stated(predicate, version=version, kind=kind)
    return told | {
        "id": key,
        "signer": actor.user,
        "behalf_of_id": behalf,
        "printed_name": printed_name,
        "statement": body.decode(),
        "statement_digest": sha256(body).hexdigest(),
        "key_id": proof.key.id,
        "signature": proof.key.sign(KIND, body),
        "reauthentication_id": proof.reauthentication,
        "signed_at": proof.at,
    }
