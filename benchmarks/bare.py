"""Settings of the peer of `benchmarks.signing`: an ordinary DRF view in place of the site.

The view keeps none of the site's rules. It runs behind the site's middleware, or behind hardly any where
BENCH_MIDDLEWARE says none.
"""

import os

from mdlc_site.settings import *  # noqa: F403
from mdlc_site.settings import MIDDLEWARE as OF_THE_SITE

ALONE = os.environ.get("BENCH_MIDDLEWARE") == "none"
ROOT_URLCONF = "benchmarks.bare_view"
# Those that allauth and axes refuse to start without; they do next to nothing here.
HARDLY_ANY = [
    "django.middleware.common.CommonMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "axes.middleware.AxesMiddleware",
]
MIDDLEWARE = HARDLY_ANY if ALONE else OF_THE_SITE
