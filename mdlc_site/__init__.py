"""The site: settings, URLs, the Celery application, and the one map from refusals to HTTP."""

from mdlc_site.celery import app as celery_app

__all__ = ["celery_app"]
