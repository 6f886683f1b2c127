"""What every REST door needs, under the name the contract gave it. Packages below the site import `audit.http` itself."""

from audit.http import KEY, Creates, etag, known_parameters, once, require_match
from audit.paging import ByCursor, page_of

idempotent = once

__all__ = ["KEY", "ByCursor", "Creates", "etag", "idempotent", "known_parameters", "once", "page_of", "require_match"]
