"""Read settings from the environment, and refuse odd values by name."""

from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()


def text(name: str, default: str | None = None) -> str:
    """Return the variable's text; without a default it must be set."""
    value = env.str(name, default=default if default is not None else environ.Env.NOTSET)
    return str(value).strip()


def flag(name: str, *, default: bool) -> bool:
    """Return a yes or no; anything else but 1, 0, true, false, yes, no is refused."""
    value = text(name, "true" if default else "false").lower()
    if value not in {"1", "0", "true", "false", "yes", "no"}:
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")
    return value in {"1", "true", "yes"}


def number(name: str, default: int, *, least: int = 0) -> int:
    """Return a whole number that is not below least."""
    value = text(name, str(default))
    if not value.isdigit() or int(value) < least:
        raise ImproperlyConfigured(f"{name} must be a whole number of at least {least}, not {value!r}.")
    return int(value)


def one_of(name: str, default: str, known: tuple[str, ...]) -> str:
    """Return one of several words."""
    value = text(name, default) or default
    if value not in known:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(known)}, not {value!r}.")
    return value


def fernet_keys(name: str) -> list[str]:
    """Return a comma-separated list of keys, each 32 bytes in URL-safe base64."""
    found = names(name)
    for key in found:
        try:
            long_enough = len(urlsafe_b64decode(key)) == 32
        except ValueError:
            long_enough = False
        if not long_enough:
            raise ImproperlyConfigured(
                f"{name} must list keys of 32 bytes in URL-safe base64, and one of them is none."
            )
    return found


def names(name: str, default: str = "") -> list[str]:
    """Return a comma-separated list."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def urls(name: str, default: str = "") -> dict[str, str]:
    """Return a map from a name to an address, written as name=url,name=url."""
    found = {}
    for part in names(name, default):
        key, equals, url = part.partition("=")
        if not equals or not url.startswith(("http://", "https://")):
            raise ImproperlyConfigured(f"{name} must be written as name=http://host:port,…; {part!r} is not.")
        found[key.strip()] = url.strip().rstrip("/")
    return found


def addresses(name: str) -> list[str]:
    """Return a comma-separated list of addresses."""
    found = names(name)
    for url in found:
        if not url.startswith(("http://", "https://")) or len(url) > 300:
            raise ImproperlyConfigured(f"{name} must list addresses as http://host/…,https://host/…; {url!r} is none.")
    return found


def storage(name: str, value: str) -> dict[str, Any]:
    """Return Django's description of a store: a folder, or s3://bucket/prefix."""
    if "://" not in value:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": value}}
    scheme, _, rest = value.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ImproperlyConfigured(f"{name} must be a folder, or written as s3://bucket/prefix, not {value!r}.")
    from botocore.config import Config  # 20 MB, and needed where blobs lie in S3 only

    # A page must not wait for minutes. What is read goes to disk beyond a megabyte; without a limit all is in memory.
    patience = Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 2, "mode": "standard"})
    options = {"bucket_name": bucket, "location": prefix, "default_acl": None, "max_memory_size": 1024**2}
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        # The name is the hash of the bytes, so whoever is second writes the same again.
        "OPTIONS": {**options, "file_overwrite": True, "client_config": patience},
    }


def key(name: str, value: str) -> str:
    """Return where a private key is told: nowhere, in 64 hexadecimal digits, or in a file that is there."""
    if value and not (len(value) == 64 and all(one in "0123456789abcdefABCDEF" for one in value)):
        try:
            there = Path(value).is_file()
        except OSError:
            there = False
        if not there:
            raise ImproperlyConfigured(f"{name} must be 64 hexadecimal digits, or the path of a file.")
    return value
