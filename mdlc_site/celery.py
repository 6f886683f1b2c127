"""The Celery application. Messages carry only the id of a job row; the row is the truth."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mdlc_site.settings")

app = Celery("mdlc_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("handoff.stopper:Step")  # by name: Django is not up yet
app.steps["worker"].add("mdlc_site.schema:Step")
app.steps["worker"].add("mdlc_site.tracing:Step")
app.steps["worker"].add("handoff.in_hand:Step")
app.steps["worker"].add("mdlc_site.sandbox:Step")
