"""Links to blobs that are good for some minutes: whoever holds one may fetch those bytes, and nothing else."""

from django.conf import settings
from django.core import signing

from models_registry.errors import Hidden

SALT = "blob"
PLACE = "blobs"  # not reverse(): it would load every page into the workers, 28 MB each


def blob_url(sha256: str, *, seconds: int) -> str:
    """Return an address from which the bytes of a blob can be fetched without signing in, for some seconds."""
    token = signing.dumps({"sha256": sha256, "seconds": seconds}, salt=SALT)
    return f"{settings.SITE_URL}/{PLACE}/{sha256}/?token={token}"


def check_token(sha256: str, token: str) -> None:
    """Let a token pass that was made for these bytes and has not run out. Raises Hidden."""
    try:
        content = signing.loads(token, salt=SALT, max_age=3600)
        signing.loads(token, salt=SALT, max_age=content["seconds"])
    except (signing.BadSignature, KeyError, TypeError) as error:
        raise Hidden("There is nothing here, or the link has run out.") from error
    if content["sha256"] != sha256:
        raise Hidden("There is nothing here, or the link has run out.")
