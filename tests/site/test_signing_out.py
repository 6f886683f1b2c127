"""Sign out: the session is closed, and the trail says so, whichever button it was."""

import pytest
from django.test import Client

from audit.models import Account, AuditEvent

OUT = pytest.mark.parametrize("address", ["/account/logout/", "/admin/logout/"])


@OUT
def test_signing_out_closes_the_session_and_is_recorded(address: str, client: Client, dana: Account) -> None:
    client.force_login(dana)
    assert client.post(address).status_code == 302
    assert "_auth_user_id" not in client.session
    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.chain) == ("account.signed_out", dana, f"account:{dana.pk}")


@OUT
def test_nobody_is_signed_out_by_a_link(address: str, client: Client, dana: Account) -> None:
    client.force_login(dana)
    assert client.get(address).status_code == 200
    assert "_auth_user_id" in client.session
    assert not AuditEvent.objects.exists()


@OUT
def test_who_is_not_signed_in_leaves_no_trace(address: str, client: Client, db: None) -> None:
    assert client.post(address).status_code == 302
    assert not AuditEvent.objects.exists()
