"""The command line: it signs nothing, names whoever acts, and lets them do no more than a page would."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection

from audit.errors import Refused
from audit.models import Account, AuditEvent
from models_registry.models import EnvironmentUserGrant
from tests.doors.asking import Asking, Writes, content_of, taken_back
from tests.handoff import building

pytestmark = pytest.mark.django_db
OURS = ("audit", "handoff", "mdlc_site", "models_registry")
# All there are. Those in the first row act for somebody whom they name; nobody acts by the others but the machine.
ACTING = {"checklist", "evidence_pack", "issue_token", "policy", "pseudonymise", "signing_keys", "suspend"}
LOOKING = {"anchor_audit", "check_invariants", "metrics", "reconcile", "relay", "verify_audit", "verify_signatures"}
OF_THE_SAMPLE = {"demo_handoff", "load_sample"}  # this goes through the API, with the password of each who acts
# What people decide, and no command has a word for.
DECIDED = {
    "sign", "approve", "answer", "acknowledge", "accept", "offer", "adopt", "confirm_gate", "deploy", "roll_back",
    "lift", "revoke", "waive", "grant", "delegate", "amend", "force", "skip", "unsafe", "password", "reauthentication",
}  # fmt: skip
BUILT_IN = {"skip_checks", "force_color", "no_color"}
POLICY = (settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
LIGHTER = POLICY.replace("expires_after_days: ", "expires_after_days: 1")
SUSPEND = ["suspend", "tumours", "production", "--reason", "Because."]
RELEASE = ["pseudonymise", "vera", "--confirm", "vera", "--reason", "Because."]
PACK = ["evidence_pack", "{live}", "--to", "{folder}"]
PUBLISH = ["policy", "publish", "{policy}", "--yes"]
# The command, who it is done by, and the code that it is refused with; nothing stands for somebody who is not let in.
REFUSED: list[tuple[list[str], str, str]] = [
    *((SUSPEND, f"--by {who}", code) for who, code in {
        "mallory": "not_found", "nina": "not_found", "sam": "not_found", "ada": "role_not_held",
        "dana": "role_not_held", "vera": "role_not_held", "edda": "role_not_held", "robot": "",
        "nowhere": "", "lena": "",
    }.items()),
    *((PUBLISH, f"--by {who}", code) for who, code in {
        "mallory": "administrator_required", "dana": "administrator_required", "rita": "administrator_required",
        "otto": "administrator_required", "robot": "", "nowhere": "", "lena": "",
    }.items()),
    *((RELEASE, f"--by {who}", code) for who, code in {
        "mallory": "administrator_required", "dana": "administrator_required", "vera": "administrator_required",
        "ada": "not_left", "robot": "", "nowhere": "", "lena": "",
    }.items()),
    *((PACK, f"--as {who}", code) for who, code in {
        "mallory": "not_found", "nina": "not_found", "sam": "not_found", "nowhere": "", "lena": "",
    }.items()),
    (["issue_token", "vera"], "", "service_account_required"),
    (["issue_token", "sam"], "", "service_account_required"),
    (["issue_token", "robot", "--days", "9999"], "", "token_too_long"),
    (["signing_keys", "--retire", "nowhere", "--reason", "Because."], "", "not_found"),
]  # fmt: skip


@pytest.fixture(scope="module")
def files(asking: Asking, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Let lena have left, who ran the target, and return what commands are given."""
    lena = Account.objects.create(username="lena", is_active=False, is_staff=True)
    building._grant(EnvironmentUserGrant, lena, "it_operations", asking.site.place.target)
    folder = tmp_path_factory.mktemp("files")
    (folder / "policy.yaml").write_text(LIGHTER)
    return {"live": str(asking.site.handoffs["live"].pk), "folder": str(folder), "policy": str(folder / "policy.yaml")}


@pytest.fixture
def undone() -> Iterator[None]:
    """Take back what a test does."""
    with taken_back():
        yield


def test_no_command_does_what_people_decide() -> None:
    found = {name: app for name, app in get_commands().items() if str(app).split(".")[0] in OURS}
    assert found.keys() == ACTING | LOOKING | OF_THE_SAMPLE
    for name, app in found.items():
        assert isinstance(app, str)
        parser = load_command_class(app, name).create_parser("manage.py", name)
        words = {str(word) for action in parser._actions for word in (action.dest, *(action.choices or ()))}
        words -= BUILT_IN
        assert words & DECIDED == set(), name
        assert name in LOOKING | OF_THE_SAMPLE | {"issue_token", "signing_keys"} or words & {"by", "who", "act"}, name


@pytest.mark.parametrize(("command", "by", "code"), REFUSED)
def test_who_may_not_is_refused_by_every_command(
    command: list[str], by: str, code: str, files: dict[str, str], undone: None
) -> None:
    writes, events = Writes(), AuditEvent.objects.count()
    with connection.execute_wrapper(writes), pytest.raises(CommandError) as refusal:
        call_command(*[word.format(**files) for word in [*command, *by.split()]], stdout=StringIO(), stderr=StringIO())
    cause = refusal.value.__cause__
    assert getattr(cause, "code", "") == code, refusal.value
    assert isinstance(cause, Refused) or "There is" in str(refusal.value)
    assert (writes.tables, AuditEvent.objects.count()) == (set(), events)
    assert [one.name for one in Path(files["folder"]).iterdir()] == ["policy.yaml"]


def test_what_a_command_does_is_on_the_trail_under_a_name(asking: Asking, files: dict[str, str], undone: None) -> None:
    for command, by, action in (
        (SUSPEND, "--by otto", "deployment.suspended"),
        (PUBLISH, "--by ada", "policy.published"),
        (["issue_token", "robot"], "", "account.token_created"),
    ):
        before: Any = content_of("audit_auditevent")
        call_command(*[word.format(**files) for word in [*command, *by.split()]], stdout=StringIO(), stderr=StringIO())
        event = AuditEvent.objects.latest("pk")
        assert AuditEvent.objects.filter(action=action).exists(), action
        assert content_of("audit_auditevent") != before
        assert by.removeprefix("--by ") in ("", event.actor.username if event.actor else ""), action
