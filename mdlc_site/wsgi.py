"""The entry point for a WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

from engine import tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mdlc_site.settings")

application = get_wsgi_application()
tracing.start("mdlc-web")
