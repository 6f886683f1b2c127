"""Settings of the peer of `benchmarks.signing`: an ordinary DRF view in place of the site.

The view keeps none of the site's rules. It runs behind the site's middleware, or behind hardly any where
BENCH_MIDDLEWARE says none.
"""

import os

from mdlc_site.settings import *  # noqa: F403
from mdlc_site.settings import INSTALLED_APPS as APPS_OF_THE_SITE
from mdlc_site.settings import MIDDLEWARE as OF_THE_SITE

ALONE = os.environ.get("BENCH_MIDDLEWARE") == "none"
ROOT_URLCONF = "benchmarks.bare_view"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"] if ALONE else OF_THE_SITE
# allauth refuses to start without its middleware, axes without its own.
INSTALLED_APPS = [app for app in APPS_OF_THE_SITE if not (ALONE and app.startswith(("allauth", "axes")))]
