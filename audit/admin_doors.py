"""What our admin pages are made of: records that are only read, and forms that call one service each."""

from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib.admin import TabularInline
from django.contrib.admin.utils import unquote
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from audit.actors import Person
from audit.acts import one_transaction
from audit.admin_acts import Acting
from audit.errors import Refused
from audit.models import Account

SEEN = "seen"


def is_administrator(request: HttpRequest) -> bool:
    """Tell whether a natural person with access to the admin asks."""
    user = request.user
    return isinstance(user, Account) and user.is_active and user.is_staff and user.kind == Account.Kind.PERSON


class Door(Acting):
    """An admin page that deletes nothing, and adds and changes nothing by itself."""

    show_full_result_count = False
    view_on_site = False
    list_per_page = 50

    def visible_to(self, user: Account) -> QuerySet[Any]:
        """Return the rows that an account may read."""
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return what the asker may read; being a superuser adds nothing."""
        found = super().get_queryset(request)
        if not isinstance(request.user, Account) or not is_administrator(request):
            return found.none()
        return found.filter(pk__in=self.visible_to(request.user).values("pk"))

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

    def chain_of(self, record: Any) -> str:
        """Return the chain of the trail that tells a record's story."""
        return "site"

    def links(self, request: HttpRequest, record: Any) -> list[tuple[str, str]]:
        """Return where else to go from a record's page, as titles and addresses."""
        return []

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Add what may be done with the record from its page."""
        record = kwargs.get("obj")
        if record is not None:
            context["acts"] = self.acts_for(request, record)
            context["links"] = self.links(request, record)
            context["trail"] = f"{reverse('audit')}?{urlencode({'chain': self.chain_of(record)})}"
        return super().render_change_form(request, context, *args, **kwargs)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Lead to the trail: the admin's own log knows only of the admin."""
        record = self.get_object(request, unquote(object_id))
        if record is None:
            return super().history_view(request, object_id, extra_context)  # says that there is none
        return HttpResponseRedirect(f"{reverse('audit')}?{urlencode({'chain': self.chain_of(record)})}")


class Records(Door):
    """Records, to read: those that the asker may know of on the site, too."""


class Rows(TabularInline):
    """Rows that belong to a record, to read on its page."""

    template = "admin/rows.html"
    extra = max_num = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let whoever reads the record read them."""
        return is_administrator(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say no."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no."""
        return False


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
            place = f"{name} " if name != field or field not in self.fields else ""
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

    def visible_to(self, user: Account) -> QuerySet[Any]:
        """Return everything: the services let every administrator of the site keep it."""
        return self.model._default_manager.all()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let administrators add."""
        return is_administrator(request)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add the revision that was read to a form that changes something, so that a stale one is refused."""
        found = super().get_fieldsets(request, obj)
        if obj is None or SEEN not in self.form.base_fields or not self.has_change_permission(request, obj):
            return found
        return [*found, (None, {"fields": (SEEN,), "classes": ("m-hidden",)})]

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
