"""How a request to the API says who sends it."""

from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.models import AuthToken


class Bearer(TokenAuthentication):
    """Know an account by its token, with one query.

    The library also reads all other tokens of the account, to delete those that ran out; ours go at the next sign-in.
    """

    def _cleanup_token(self, auth_token: AuthToken) -> bool:
        """Tell whether a token has run out."""
        return auth_token.expiry is not None and auth_token.expiry < timezone.now()
