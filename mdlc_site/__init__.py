"""The site: settings, URLs, the Celery application, and the one map from refusals to HTTP."""
