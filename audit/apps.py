"""Tell Django about the trail."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class AuditConfig(AppConfig):
    name = "audit"

    def ready(self) -> None:
        """Have the signing key checked where an installation is."""
        from audit.checks import signing_key  # after the tables are known

        register(signing_key, Tags.security, deploy=True)
