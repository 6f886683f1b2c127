"""Tell Django about the site's own templates tags and doors, and make the Celery application the one of all tasks."""

from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register

from engine import fault_points


class SiteConfig(AppConfig):
    name = "mdlc_site"
    verbose_name = "MDLC Handoff"

    def ready(self) -> None:
        """Make the Celery application; here and not in the package, which the launcher imports too and stays small."""
        from mdlc_site import celery  # noqa: F401  # after the settings are known

        register(no_fault_points, Tags.security, deploy=True)


def no_fault_points(**_: Any) -> list[CheckMessage]:
    """Tell of a process that a test may break."""
    if not fault_points.armed():
        return []
    words = f"{fault_points.VARIABLE} is set, so this process can be made to fail."
    return [Error(words, hint="Unset it: it is for tests alone.", id="mdlc_site.E001")]
