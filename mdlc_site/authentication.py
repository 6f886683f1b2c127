"""How a request to the API says who sends it, and how Django is told which roles somebody holds."""

from typing import Any

from django.utils import timezone
from guardian.backends import ObjectPermissionBackend
from knox.auth import TokenAuthentication
from knox.models import AuthToken
from rest_framework.request import Request

from audit.factors import factor_missing, lacks_factor
from audit.models import Account
from models_registry.access import PREFIX, roles_on
from models_registry.models import Environment, RegisteredModel


class Bearer(TokenAuthentication):
    """Know an account by its token, with one query.

    The library also reads all other tokens of the account, to delete those that ran out; ours go at the next sign-in.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the account and its token; refuse a person who lacks a second factor that the site asks for."""
        found = super().authenticate(request)
        if found is not None and lacks_factor(found[0]):
            raise factor_missing()
        return found

    def _cleanup_token(self, auth_token: AuthToken) -> bool:
        """Tell whether a token has run out."""
        return auth_token.expiry is not None and auth_token.expiry < timezone.now()


class HeldRoles(ObjectPermissionBackend):
    """Answer `has_perm("models_registry.hold_<role>", thing)` for a model or an environment, as of now.

    The library's own answer knows of no time: it would go on to count a role that has ended.
    """

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Tell whether an account holds the role that a permission stands for."""
        return perm in self.get_all_permissions(user_obj, obj)

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return the permissions that stand for the roles that an account holds on a thing."""
        if not isinstance(user_obj, Account) or not isinstance(obj, RegisteredModel | Environment):
            return set()
        on = {"model": obj} if isinstance(obj, RegisteredModel) else {"environment": obj}
        return {f"{obj._meta.app_label}.{PREFIX}{role}" for role in roles_on(user_obj, **on)}
