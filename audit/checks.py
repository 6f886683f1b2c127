"""Checks of an installation that Django runs with `check --deploy`."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from audit.errors import Refused
from audit.signing import own_key

HINT = "Nobody can sign in this process. Set MDLC_SIGNING_KEY for web; docs/operations.md says how."
SHARED = 0o077  # rights of anybody but the owner


def signing_key(**_: Any) -> list[CheckMessage]:
    """Tell what keeps people from signing in this process, and a key that others could read."""
    if not settings.SIGNING_KEY:
        return [Warning("There is no signing key.", hint=HINT, id="audit.W001")]
    try:
        own_key()
    except Refused:
        return [Warning("The signing key cannot be read.", hint=HINT, id="audit.W002")]
    path = Path(settings.SIGNING_KEY)
    if len(settings.SIGNING_KEY) != 64 and path.stat().st_mode & SHARED:
        hint = f"chmod 600 {path}; if others could have read it, mark the key as compromised."
        return [Warning("Others may read the signing key.", hint=hint, id="audit.W003")]
    return []
