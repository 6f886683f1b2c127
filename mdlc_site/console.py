"""The site's own part of the admin: in what condition it is, and what other apps register there, to read only."""

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from audit.admin import Kept
from audit.admin_doors import is_administrator
from audit.errors import Hidden
from mdlc_site.condition import parts, worst


class ToRead(Kept):
    """What the machinery of the site keeps: every administrator reads it, nobody writes it here."""


class PeriodicTasks(ToRead):
    """The scheduled tasks. The settings say which there are; a row written here would run work that no act caused."""

    list_display = ("name", "task", "enabled", "last_run_at", "total_run_count")
    list_filter = ("enabled",)
    search_fields = ("name", "task")
    ordering = ("name",)
    fields = ("name", "task", "queue", "enabled", "interval", "crontab", "last_run_at", "total_run_count")
    list_select_related = ("interval", "crontab")


class SignInAttempts(ToRead):
    """Sign-ins that failed. A lock ends by itself after a quarter of an hour, or by `manage.py axes_reset_username`."""

    list_display = ("attempt_time", "username", "ip_address")
    search_fields = ("username", "ip_address")
    date_hierarchy = "attempt_time"
    ordering = ("-attempt_time",)
    fields = ("attempt_time", "username", "ip_address", "user_agent", "path_info")


def register() -> None:
    """Put what other apps have registered out of reach, or to be read only. Call it once all apps have registered."""
    for model in (PeriodicTask, ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule):
        admin.site.unregister(model)
    for model in (AccessAttempt, AccessFailureLog, AccessLog):
        admin.site.unregister(model)
        admin.site.register(model, SignInAttempts)
    admin.site.register(PeriodicTask, PeriodicTasks)


@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Show an administrator in what condition the site is."""
    if not is_administrator(request):
        raise Hidden("There is no such page.")
    found = parts()
    context = {**admin.site.each_context(request), "title": "Health", "parts": found, "worst": worst(found)}
    return TemplateResponse(request, "admin/health.html", context)
