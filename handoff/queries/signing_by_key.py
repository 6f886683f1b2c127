"""What a personal key is asked before it signs: the hash of what its holder is about to decide."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from django.core import signing

from audit import personal_keys
from audit.actors import Person
from audit.assertions import challenge_of
from audit.models import Account
from audit.personal_keys import Question
from handoff.errors import NotConfirmed, StaleView
from handoff.promises import promises
from handoff.queries import amendments
from handoff.queries.signing import sheet_for
from handoff.rules.statements import intent_of

GOOD_FOR = 300  # seconds
SALT = "handoff.signing_by_key"


def ask(
    actor: Person,
    handoff_id: UUID,
    requirement: str,
    *,
    origin: str,
    seen: str,
    decision: str,
    meaning: str,
    comment: str = "",
    conditions: Sequence[Mapping[str, Any]] = (),
) -> Question:
    """Return what to ask the keys of a person, so that the answer is good for just this sign-off.

    The arguments are those of services.signoffs.sign, and `origin` is the site's, such as https://handoff.example.
    Raises Hidden, StaleView, Invalid, and NotConfirmed for somebody who has no key that works on this site.
    """
    sheet = sheet_for(actor.user, handoff_id, requirement)
    _require_same(sheet.seen, seen)
    promised = promises(actor, sheet.known, decision, conditions)
    told = {"decision": decision, "meaning": meaning, "comment": comment}
    about = {"handoff": str(handoff_id), "requirement": requirement, "scope_digest": seen}
    return _question(actor, origin, about | told, [one.told() for one in promised])


def ask_about_amendment(
    actor: Person,
    amendment_id: UUID,
    *,
    origin: str,
    requirement: str,
    seen: str,
    decision: str,
    meaning: str,
    comment: str = "",
) -> Question:
    """Return what to ask the keys of a person about an amendment; the rest is as for `ask`."""
    sheet = amendments.sheet_for(actor.user, amendment_id)
    _require_same(sheet.seen, seen)
    handoff = str(sheet.amendment.deployment.handoff_id)
    told = {"decision": decision, "meaning": meaning, "comment": comment}
    return _question(
        actor, origin, {"handoff": handoff, "requirement": requirement, "scope_digest": seen} | told, conditions=()
    )


def asked_in(token: str, user: Account) -> tuple[str, bytes]:
    """Return the confirmation that a question to a person would become, and its challenge. Raises NotConfirmed."""
    try:
        intent = signing.loads(token, salt=SALT, max_age=GOOD_FOR)
    except signing.BadSignature:
        intent = {}
    if intent.get("account") != user.pk:
        raise NotConfirmed(
            "Your personal key was asked too long ago, or not by this page.",
            code="key_too_late",
            todo="Sign again; a question is good for five minutes.",
        )
    return intent["confirmation"], challenge_of(intent)


def _require_same(now: str, seen: str) -> None:
    if now != seen:
        raise StaleView(
            "What you are about to sign changed after it was shown to you.",
            todo="Read it again, then sign what is there now.",
        )


def _question(
    actor: Person, origin: str, about: Mapping[str, str], conditions: Sequence[Mapping[str, str]]
) -> Question:
    keys = list(personal_keys.usable(actor.user, origin))
    if not keys:
        raise NotConfirmed(
            "You have no personal key that works on this site.",
            code="no_personal_key",
            todo="Register one under Security, or give your password.",
        )
    who = {"confirmed": {"id": str(uuid4())}, "person": {"account": actor.user_id}}
    intent = intent_of({**who, **about, "conditions": list(conditions)})
    return Question(personal_keys.ask_to_sign(keys, origin, challenge_of(intent)), signing.dumps(intent, salt=SALT))
