"""The second factor: whether an account has one, and whether a code proves it."""

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP

from audit.models import Account


def has_second_factor(user: Account) -> bool:
    """Tell whether an account must give a code beside the password."""
    return Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()


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
