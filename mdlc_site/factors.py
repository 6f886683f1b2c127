"""Seeds of second factors are sealed in the database."""

import base64
import logging
import secrets
from functools import cache

from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

log = logging.getLogger(__name__)
INFO = b"mdlc second factors"


class SealedFactors(DefaultMFAAdapter):
    """Keep seeds of codes and of recovery codes encrypted, so that a reader of a backup can make no codes."""

    def encrypt(self, text: str) -> str:
        """Return a text sealed by the newest key."""
        return sealer().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return what was sealed by any key of today; a random seed, which no code fits, where there is no such key."""
        try:
            return sealer().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            log.error("A second factor was not sealed by any key that the site has, so no code fits it.")
            return base64.b32encode(secrets.token_bytes(20)).decode()


@cache
def sealer() -> MultiFernet:
    """Return what seals and opens: by the keys that are set, else by one that follows from the site's secret."""
    keys = [key.encode() for key in settings.FACTOR_KEYS] or [_derived(settings.SECRET_KEY)]
    return MultiFernet([Fernet(key) for key in keys])


def _derived(secret: str) -> bytes:
    """Return a key of its own that follows from a secret, by HKDF of RFC 5869."""
    found = HKDF(SHA256(), length=32, salt=None, info=INFO).derive(secret.encode())
    return base64.urlsafe_b64encode(found)
