"""Put sign-ins and tokens on the trail."""

from datetime import timedelta

from knox.models import AuthToken

from audit.actors import Actor, Worker
from audit.acts import act
from audit.models import Account
from audit.trail import record

DOOR = Worker("sign-in")


@act
def signed_in(*, actor: Actor, method: str) -> None:
    """Record that somebody came in."""
    chain = f"account:{actor.user_id}"
    record("account.signed_in", actor=actor, on=chain, chain=chain, data={"method": method})


@act
def signed_out(*, actor: Actor) -> None:
    """Record that somebody went out by the door; a session that runs out leaves nothing."""
    chain = f"account:{actor.user_id}"
    record("account.signed_out", actor=actor, on=chain, chain=chain)


@act
def sessions_ended(*, actor: Actor, count: int) -> None:
    """Record that somebody ended their other sessions."""
    chain = f"account:{actor.user_id}"
    record("account.sessions_ended", actor=actor, on=chain, chain=chain, data={"sessions": count})


@act
def sign_in_failed(*, username: str, via: str) -> None:
    """Record a failed sign-in. What was typed is not kept: a password typed in the wrong field would be in it."""
    known = Account.objects.filter(username=username).values_list("pk", flat=True).first()
    subject = f"account:{known or 'unknown'}"
    record("account.sign_in_failed", actor=DOOR, on=subject, chain="sign-ins", data={"via": via})


@act
def issue_token(*, actor: Actor, account: Account, lasts: timedelta) -> tuple[AuthToken, str]:
    """Create an access token and return it with its text, which is shown once: the database holds only its hash."""
    token, text = AuthToken.objects.create(user=account, expiry=lasts)
    chain = f"account:{account.pk}"
    data = {"token": token.token_key, "until": token.expiry.isoformat()}
    record("account.token_created", actor=actor, on=chain, chain=chain, data=data)
    return token, text


@act
def revoke_token(*, actor: Actor, token: AuthToken) -> None:
    """Delete an access token; it opens nothing from now on."""
    chain = f"account:{token.user_id}"
    record("account.token_revoked", actor=actor, on=chain, chain=chain, data={"token": token.token_key})
    token.delete()
