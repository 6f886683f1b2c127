"""Use up the confirmation of identity that a signature asks for, together with the key by which the site vouches."""

import json
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from audit import signing
from audit.actors import Person
from handoff.errors import NotConfirmed

# Whether the key may sign comes along: one statement less, and read as late as can be.
USE_UP = """
    UPDATE handoff_reauthentication SET used_at = clock_timestamp()
     WHERE id = %s AND person_id = %s AND used_at IS NULL AND expires_at > clock_timestamp()
 RETURNING used_at, method, challenge, assertion, (SELECT k.retired_at IS NULL FROM audit_signingkey k WHERE k.id = %s)
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """That the signer has just confirmed who they are, and the key by which the site says so."""

    reauthentication: str
    method: str
    at: datetime
    key: signing.OwnKey
    challenge: str = ""
    assertion: dict[str, str] = field(default_factory=dict)

    def require(self, challenge: str) -> None:
        """Let a confirmation pass that was given by password, for anything, or by a personal key for just this act.

        Raises NotConfirmed for a key that signed something else.
        """
        if self.challenge and self.challenge != challenge:
            raise NotConfirmed(
                "Your personal key confirmed something else than what is to be signed.",
                code="key_signed_otherwise",
                todo="Sign again with your key: what you decide, mean and write must be what it was asked about.",
            )


def use_up(reauthentication: str, actor: Person, *, by_key: bool = False) -> Proof:
    """Return the proof that a person has just confirmed who they are; the confirmation is good for nothing else then.

    `by_key` lets that of a personal key pass, of which the caller then requires what the key had to sign. Raises
    NotConfirmed when it is used up, too old, or somebody else's; KeyMissing or KeyRetired.
    """
    key = signing.own_key()
    with connection.cursor() as cursor:
        cursor.execute(USE_UP, [reauthentication, actor.user_id, key.id])
        row = cursor.fetchone()
    if row is None:
        raise NotConfirmed(
            "Confirm who you are again: the confirmation is used up, too old, or not yours.",
            todo="Give your password again; a confirmation is good for one signature within five minutes.",
        )
    at, method, challenge, assertion, signs = row
    signing.require_signing(key, signs)
    proof = Proof(str(reauthentication), method, at, key, challenge, json.loads(assertion) if assertion else {})
    if not by_key:
        proof.require("")
    return proof
