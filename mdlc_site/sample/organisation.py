"""The sample organisation, made through the same services that everybody uses. What is there already is left alone."""

import json
import os
import platform
import secrets
from importlib import metadata
from pathlib import Path

from django.contrib.auth.hashers import make_password

from audit.actors import Person
from audit.models import Account
from engine.capture import capture
from handoff.models import Policy
from handoff.services import policies
from models_registry.models import Environment, EnvironmentProfile, Organisation
from models_registry.services import environments, organisations, profiles, roles

POLICIES = Path(__file__).resolve().parent.parent.parent / "handoff" / "policies"
PEOPLE = {
    "dana": ("Dana", "Lindqvist", "Data scientist"),
    "vera": ("Vera", "Osei", "Model validation"),
    "otto": ("Otto", "Brandt", "IT operations"),
    "noah": ("Noah", "Adeyemi", "Analytic engineer"),
    "iris": ("Iris", "Moreau", "Integration owner"),
    "rita": ("Rita", "Almeida", "Risk and compliance"),
    "ada": ("Ada", "Novak", "Administrator"),
    "mallory": ("Mallory", "Quinn", "Holds no role here"),
}
ORGANISATIONS = {"insight-lab": "Insight Lab", "clinic-it": "Clinic IT"}
# What the clinic allows beyond the light policy: operations alone renew a model by its own pipeline, inside bounds.
RENEWED = """
retrain:
  signers: {review: [it_operations], release: [it_operations]}
  metrics: {rmse: {worse_by: 1, maximum: 60}}
  elements: [golden]
  at_most: 3
  within_days: 180
"""
IN_PRODUCTION = {"it_operations": "otto", "analytic_engineer": "noah", "integration_owner": "iris"}
ON_A_MODEL = {"validator": "vera", "risk_compliance": "rita", "model_owner": "rita"}


def load(home: Path) -> None:
    """Make people, organisations, environments and policies that are not there yet."""
    password = password_of(home)
    hashed = ""
    for username, (first, last, title) in PEOPLE.items():
        if not Account.objects.filter(username=username).exists():
            hashed = hashed or make_password(password)
            Account.objects.create(
                username=username,
                first_name=first,
                last_name=last,
                title=title,
                email=f"{username}@example.org",
                password=hashed,
                is_staff=username == "ada",
                is_superuser=username == "ada",
            )
    ada = Person(Account.objects.get(username="ada"), "command")
    for slug, name in ORGANISATIONS.items():
        if not Organisation.objects.filter(slug=slug).exists():
            organisations.create(actor=ada, slug=slug, name=name)
    _environments(ada)
    for slug, more in {"light": RENEWED, "strict": ""}.items():
        if not Policy.objects.filter(slug=slug).exists():
            policies.publish(actor=ada, source=(POLICIES / f"{slug}.yaml").read_text() + more)


def password_of(home: Path) -> str:
    """Return the password of all sample log-ins: drawn once for this installation, and kept for its owner's eyes."""
    path = home / "sample-password.json"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            json.dump({"password": f"handoff-{secrets.token_hex(4)}"}, stream)
    return str(json.loads(path.read_text())["password"])


def grant_on(model: str) -> None:
    """Let the sample people hold their roles on a model that somebody has just registered."""
    ada = Person(Account.objects.get(username="ada"), "command")
    for role, holder in ON_A_MODEL.items():
        roles.grant(actor=ada, role=role, holder=holder, model=model)


def _environments(ada: Person) -> None:
    if not Environment.objects.filter(slug="lab").exists():
        environments.create(
            actor=ada,
            slug="lab",
            name="Lab notebooks",
            kind="creation",
            organisation="insight-lab",
            owner="dana",
            python=platform.python_version(),
            purpose="Try out data, features and techniques until one candidate is settled on.",
            systems="Notebooks on Linux, and the clinic's export as CSV files.",
        )
    if not Environment.objects.filter(slug="clinic").exists():
        environments.create(
            actor=ada,
            slug="clinic",
            name="Clinic production",
            kind="production",
            organisation="clinic-it",
            owner="otto",
            python=platform.python_version(),
            purpose="Answer the clinic's applications, day and night.",
            systems="Linux, PostgreSQL and Valkey, beside the clinic's applications.",
            requirements="A runbook.\nAnswers within 250 ms.\nNothing leaves the clinic's network.",
            engine="production",
            import_policy={
                "default": "warn",
                "rules": {
                    "onnxruntime": {"answer": "allow", "versions": ">=1.30,<2", "reason": "What our engine runs."},
                    "scikit-learn": {"answer": "allow", "versions": ">=1.9,<2", "reason": "Patched by us monthly."},
                    "numpy": {"answer": "allow", "versions": ">=2,<3"},
                    "dill": {"answer": "prohibit", "reason": "It loads code along with data."},
                },
                "install": {name: metadata.version(name) for name in ("numpy", "scikit-learn")},
            },
        )
        for role, holder in IN_PRODUCTION.items():
            roles.grant(actor=ada, role=role, holder=holder, environment="clinic")
        roles.grant(actor=ada, role="administrator", holder="otto", environment="lab")
        roles.grant(actor=ada, role="it_operations", holder="otto", environment="lab")


def capture_all(home: Path) -> None:
    """Report what both environments are made of, which here are the same machine; only the lab holds data files."""
    trained_on = home / "sample" / "screening-1" / "measurements.csv"
    for environment, reporter, files in (("lab", "dana", [trained_on]), ("clinic", "otto", [])):
        if not EnvironmentProfile.objects.filter(environment__slug=environment).exists():
            who = Person(Account.objects.get(username=reporter), "command")
            profiles.report(actor=who, environment=environment, content=capture(files))
