"""Tell Django about the site's own templates tags and doors, and make the Celery application the one of all tasks."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "mdlc_site"
    verbose_name = "MDLC Handoff"

    def ready(self) -> None:
        """Make the Celery application; here and not in the package, which the launcher imports too and stays small."""
        from mdlc_site import celery  # noqa: F401  # after the settings are known
