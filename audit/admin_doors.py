"""What our admin pages are made of: records that are only read; forms and actions that call one service each."""

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.actors import Person
from audit.acts import one_transaction
from audit.errors import Refused
from audit.models import Account

Act = Callable[[Person, Any, str], object]


def is_administrator(request: HttpRequest) -> bool:
    """Tell whether a natural person with access to the admin asks."""
    user = request.user
    return isinstance(user, Account) and user.is_active and user.is_staff and user.kind == Account.Kind.PERSON


class Door(admin.ModelAdmin):
    """An admin page that deletes nothing and adds and changes nothing by itself."""

    show_full_result_count = False
    view_on_site = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Let administrators in; what they see is another question."""
        return is_administrator(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let administrators read what their list shows."""
        return is_administrator(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no: what happened stays."""
        return False


class Records(Door):
    """Records, to read: those that the asker may know of on the site, too. Being a superuser adds nothing."""

    def visible_to(self, user: Account) -> QuerySet[Any]:
        """Return the records that an account may read."""
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return what the asker may read."""
        found = super().get_queryset(request)
        assert isinstance(request.user, Account)
        return found.filter(pk__in=self.visible_to(request.user).values("pk"))


class ActForm(forms.ModelForm):
    """A form whose last check is the act itself: the service judges, and its refusal stands beside the field."""

    actor: ClassVar[Person]

    def act(self, values: dict[str, Any]) -> Model:
        """Call the one service, and return what it made or changed. It may raise Refused."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """Carry the act out, if everything else is right."""
        values = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.instance = self.act(values)
            except Refused as refusal:
                self._tell(refusal)
        return values

    def _tell(self, refusal: Refused) -> None:
        for name, words in refusal.fields.items():
            field = name.partition(".")[0].partition("[")[0]
            place = f"{name} " if name != field else ""
            for one in [words] if isinstance(words, str) else words:
                self.add_error(field if field in self.fields else None, f"{place}{one}.")
        if not refusal.fields or refusal.todo:
            self.add_error(None, f"{refusal.message} {refusal.todo}".strip())

    def _post_clean(self) -> None:
        """Leave the table's own checks out: the service has made them."""

    def save(self, commit: bool = True) -> Any:
        """Return what the service has saved already."""
        self.save_m2m = lambda: None  # type: ignore[method-assign]
        return self.instance


class Configuration(Door):
    """Configuration, to read and to change, through services. The form is an ActForm."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let administrators add."""
        return is_administrator(request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form, with whoever acts."""
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"actor": Person.at(request, "admin")})

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Let the act share the transaction in which the admin keeps its own log."""
        if request.method != "POST":
            return super().changeform_view(request, *args, **kwargs)
        with one_transaction():
            return super().changeform_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Do nothing: the service has saved."""


def act_on_each(
    door: Door, request: HttpRequest, chosen: QuerySet[Any], *, action: str, title: str, verb: str, act: Act
) -> HttpResponse | None:
    """Ask for a reason, then carry an act out on each record that was chosen; tell what became of each.

    `act` is called with the person, the record and the reason, and may raise Refused.
    """
    reason = request.POST.get("reason", "").strip()
    if "confirmed" not in request.POST or not reason:
        context = {
            **door.admin_site.each_context(request),
            "title": title,
            "verb": verb,
            "chosen": chosen,
            "action": action,
            "checkbox": ACTION_CHECKBOX_NAME,
            "opts": door.model._meta,
            "reason_missing": "confirmed" in request.POST,
        }
        return TemplateResponse(request, "admin/confirm_act.html", context)
    actor = Person.at(request, "admin")
    for record in chosen:
        try:
            act(actor, record, reason)
        except Refused as refusal:
            door.message_user(request, f"{record}: {refusal.message} {refusal.todo}".strip(), messages.ERROR)
        else:
            door.message_user(request, f"{record}: done, and on record.", messages.SUCCESS)
    return None


def opened(url: str, words: str = "open") -> SafeString:
    """Return a link to a record's page on the site."""
    return format_html('<a href="{}">{}</a>', url, words)
