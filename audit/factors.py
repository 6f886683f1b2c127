"""The second factor: whether an account has one, and whether a code proves it."""

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings

from audit.errors import Forbidden
from audit.models import Account


def has_second_factor(user: Account) -> bool:
    """Tell whether an account must give a code beside the password."""
    return Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()


def lacks_factor(user: Account) -> bool:
    """Tell whether the site asks a second factor of an account that has none. Service accounts have tokens only."""
    of = settings.SECOND_FACTOR_FOR
    asked = of == "everybody" or (of == "staff" and user.is_staff)
    return asked and user.is_person and not has_second_factor(user)


def factor_missing() -> Forbidden:
    """Return the refusal of whoever must set one up first."""
    return Forbidden(
        "This site asks for a second factor, and your account has none.",
        code="second_factor_required",
        todo="Sign in with the browser and set one up under Security.",
    )


def factor_of(user: Account, code: str) -> str:
    """Return which factor a code proves, 'code' or 'recovery code'; empty when none. A code counts once."""
    if not code:
        return ""
    factors = {factor.type: factor for factor in Authenticator.objects.filter(user=user)}
    totp = factors.get(Authenticator.Type.TOTP)
    if totp is not None and TOTP(totp).validate_code(code):
        return "code"
    recovery = factors.get(Authenticator.Type.RECOVERY_CODES)
    if recovery is not None and RecoveryCodes(recovery).validate_code(code):
        return "recovery code"
    return ""
