"""Every address of the site."""

from importlib.util import find_spec

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from knox.models import AuthToken
from rest_framework.permissions import AllowAny

from mdlc_site import api, health

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # one door, with second factor
for model in (AuthToken, Authenticator, EmailAddress):  # whoever could write these by hand could act as somebody else
    admin.site.unregister(model)
admin.site.site_header = admin.site.site_title = "MDLC Handoff"


def _included(door: str) -> list[URLResolver]:
    """Return the addresses of one kind of door, of every package that has one."""
    names = [
        f"{package}.{door}" for package in ("models_registry", "handoff", "audit") if find_spec(f"{package}.{door}")
    ]
    return [path("", include(f"{name}.urls")) for name in names if find_spec(f"{name}.urls")]


site_api: list[URLPattern | URLResolver] = [
    path("tokens/", api.Tokens.as_view(), name="tokens"),
    path("tokens/current/", api.CurrentToken.as_view(), name="token-current"),
    path("me/", api.Me.as_view(), name="me"),
    path("schema/", SpectacularAPIView.as_view(permission_classes=(AllowAny,)), name="schema"),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(url_name="api:schema", permission_classes=(AllowAny,)),
        name="docs",
    ),
]
site_api += _included("api")

urlpatterns: list[URLPattern | URLResolver] = [
    path("account/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include((site_api, "api"))),
    path("healthz/live", health.live, name="live"),
    path("healthz/ready", health.ready, name="ready"),
    path(".well-known/security.txt", health.security_txt, name="security-txt"),
]
urlpatterns += _included("web")

handler400 = "mdlc_site.errors.bad_request"
handler403 = "mdlc_site.errors.forbidden"
handler404 = "mdlc_site.errors.not_found"
handler500 = "mdlc_site.errors.unexpected"
