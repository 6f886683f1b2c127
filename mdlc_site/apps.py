"""Tell Django about the site's own templates tags and doors."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "mdlc_site"
    verbose_name = "MDLC Handoff"
