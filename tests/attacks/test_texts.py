"""Texts that are attacks: scripts in names, and characters that hide what a text says."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from audit.errors import Invalid
from audit.hidden_text import refuse_hidden
from tests.attacks.forging import past_the_services
from tests.doors.asking import Asking, content_of, taken_back
from tests.handoff.test_policies_unions import LIGHTER

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def test_a_script_in_a_name_is_text_on_every_page(signed_in: Asking) -> None:
    site, handoff = signed_in.site, signed_in.site.handoffs["offered"]
    pages = {
        "dana": [reverse("model", args=["tumours"]), reverse("models"), reverse("handoff", args=[handoff.pk])],
        "olga": ["/admin/models_registry/environment/", reverse("handoff", args=[handoff.pk]), reverse("inbox")],
    }
    with taken_back():
        for table in ("models_registry_registeredmodel", "models_registry_environment"):
            past_the_services(f"UPDATE {table} SET name = '{SCRIPT}', purpose = '{SCRIPT}'")
        past_the_services(f"UPDATE audit_account SET first_name = '{SCRIPT}' WHERE username IN ('dana', 'otto')")
        past_the_services(f"UPDATE handoff_handoff SET note = '{SCRIPT}' WHERE id = '{handoff.pk}'")
        for who, paths in pages.items():
            for path in paths:
                answer = signed_in.client(who).get(path)
                html = answer.content.decode()
                assert (answer.status_code, "&lt;script&gt;alert(1)" in html, "<script>alert(1)" in html) == (
                    200,
                    True,
                    False,
                )
                assert "<img src=x" not in html
    assert site.place.model.name == "Tumours"


RTL, ZERO = "\u202etxt.exe", "All is \u200bwell."


def test_text_that_hides_something_is_refused_at_every_door(signed_in: Asking, tmp_path: Path) -> None:
    site, offered, live = signed_in.site, signed_in.site.handoffs["offered"], signed_in.site.handoffs["live"]
    policy = tmp_path / "policy.yaml"
    policy.write_text(LIGHTER.replace("title: Another", f'title: "{RTL}"'))
    told = {"choice": "no", "reason": RTL, "item": "purpose"}
    with taken_back():
        before = content_of("audit_auditevent")
        answers = reverse("api:handoff-answers", args=[offered.pk])
        refused = signed_in.client("dana", api=True).post(answers, told, format="json")  # type: ignore[arg-type]
        assert (refused.status_code, refused.json()["code"]) == (422, "text_hidden")
        assert refused.json()["fields"] == {"reason": ["holds U+202E"]}
        page = signed_in.client("dana").post(reverse("handoff-answer", args=[offered.pk, "purpose"]), told)
        assert (page.status_code, "are not seen" in page.content.decode()) == (422, True)
        raised = {"title": ZERO, "severity": "low", "owner": "dana"}
        assert (
            signed_in.client("rita").post(reverse("handoff-finding-raise", args=[live.pk]), raised).status_code == 422
        )
        act = {
            "action": "suspend",
            "_selected_action": [str(site.deployment and site.deployment.pk)],
            "confirmed": "yes",
        }
        signed_in.client("olga").post("/admin/handoff/deployment/", {**act, "reason": RTL})
        commands = (
            ["suspend", "tumours", "production", "--by", "otto", "--reason", RTL],
            ["policy", "publish", str(policy)],
        )
        for command in (commands[0], [*commands[1], "--by", "ada", "--yes"]):
            with pytest.raises(CommandError, match=r"not seen|U.202E"):
                call_command(*command, stdout=StringIO())
        assert content_of("audit_auditevent") == before


@pytest.mark.parametrize(
    "text", ["שלום (עולם) 42%", "می‌خواهم", "👩🏽‍🔬 done\n\ttwice\r\n", "Ångström — naïve", "\ufeffpolicy: x"]
)
def test_every_script_is_let_in(text: str) -> None:
    refuse_hidden({"reason": text, "told": [{"password": RTL}]})


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\u200b", "\x1b", "\x07", "\x85", "\U000e0041", "\u2062"])
def test_what_hides_is_named_by_its_place(hidden: str) -> None:
    with pytest.raises(Invalid) as refusal:
        refuse_hidden({"conditions": [{"text": f"All{hidden} is well."}], "reason": "Because."})
    assert refusal.value.fields == {"conditions.0.text": f"holds U+{ord(hidden):04X}"}
