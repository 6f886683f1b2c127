"""Seal the seeds of second factors that stood in the database as they were."""

from allauth.mfa.adapter import get_adapter
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SEALED = "gAAAA"  # how every sealed text begins; no seed does


def seal(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Seal each seed, and each recovery code that is kept by itself."""
    adapter = get_adapter()

    def sealed(text: str) -> str:
        return text if text.startswith(SEALED) else adapter.encrypt(text)

    for one in apps.get_model("mfa", "Authenticator").objects.filter(type__in=["totp", "recovery_codes"]):
        for name in ("secret", "seed"):
            if name in one.data:
                one.data[name] = sealed(one.data[name])
        if "migrated_codes" in one.data:
            one.data["migrated_codes"] = [sealed(code) for code in one.data["migrated_codes"]]
        one.save(update_fields=["data"])


class Migration(migrations.Migration):
    dependencies = [("mdlc_site", "0001_cache"), ("mfa", "0003_authenticator_type_uniq")]
    operations = [migrations.RunPython(seal, migrations.RunPython.noop)]
