"""Every address of the site."""

from allauth.account.decorators import reauthentication_required, secure_admin_login
from allauth.account.models import EmailAddress
from allauth.account.views import LogoutView
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from allauth.usersessions.views import list_usersessions
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from knox.models import AuthToken
from rest_framework.permissions import AllowAny

from mdlc_site import api, console, health

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # one door, with second factor
for model in (AuthToken, Authenticator, EmailAddress, UserSession):  # who writes these could act as somebody else
    admin.site.unregister(model)
console.register()
admin.site.site_header = admin.site.site_title = "MDLC Handoff"


site_api: list[URLPattern | URLResolver] = [
    path("tokens/", api.Tokens.as_view(), name="tokens"),
    path("tokens/current/", api.CurrentToken.as_view(), name="token-current"),
    path("me/", api.Me.as_view(), name="me"),
    path("health/", api.Health.as_view(), name="health"),
    path("schema/", SpectacularAPIView.as_view(permission_classes=(AllowAny,)), name="schema"),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(url_name="api:schema", permission_classes=(AllowAny,)),
        name="docs",
    ),
    path("", include("models_registry.api.urls")),
    path("", include("handoff.api.urls")),
    path("", include("audit.api.urls")),
]

# Nothing is mailed, so what allauth does by mail is closed.
by_mail = ("email/", "confirm-email/", "password/reset/", "login/code/confirm/")
signing_in = RedirectView.as_view(pattern_name="account_login")

urlpatterns: list[URLPattern | URLResolver] = [
    *(path(f"account/{one}", signing_in) for one in by_mail),
    path("account/sessions/", reauthentication_required(list_usersessions)),
    path("account/", include("allauth.urls")),
    path("admin/health/", admin.site.admin_view(console.health), name="admin-health"),
    path("admin/logout/", LogoutView.as_view()),  # one way out too: it is on the trail
    path("admin/", admin.site.urls),
    path("api/v1/", include((site_api, "api"))),
    path("healthz/live", health.live, name="live"),
    path("healthz/ready", health.ready, name="ready"),
    path(".well-known/security.txt", health.security_txt, name="security-txt"),
    path("", include("models_registry.web.urls")),
    path("", include("handoff.web.urls")),
    path("", include("audit.web.urls")),
]

handler400 = "mdlc_site.errors.bad_request"
handler403 = "mdlc_site.errors.forbidden"
handler404 = "mdlc_site.errors.not_found"
handler500 = "mdlc_site.errors.unexpected"
