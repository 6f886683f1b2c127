"""Judge licences: which one a package says it has, and whether we may use it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from license_expression import ExpressionError, LicenseExpression, get_spdx_licensing

TABLE = Path(__file__).with_name("licences.toml")
SPDX = get_spdx_licensing()
# What the classifiers of the package index mean, where they mean one licence.
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True)
class Terms:
    """What may be used, and what packages are that do not say so by themselves."""

    allowed: frozenset[str]
    excepted: Mapping[str, Mapping[str, str]]
    read: Mapping[str, str]

    def refuses(self, package: str, licence: str) -> str:
        """Say why a package may not be used under its licence; nothing where it may."""
        parsed = parse(licence)
        if parsed is None:
            return f"{package}: its licence is not known; read it, and write it under [read] in supply/licences.toml."
        exception = self.excepted.get(package, {})
        if exception.get("licence") == licence or self._allows(parsed):
            return ""
        return f"{package}: {licence} is not allowed; take another package, or except it with a reason."

    def _allows(self, parsed: LicenseExpression) -> bool:
        if parsed.isliteral:
            return str(parsed) in self.allowed
        judge = any if parsed.operator.strip() == "OR" else all
        return judge(self._allows(part) for part in parsed.args)


def terms(path: Path = TABLE) -> Terms:
    """Return what `licences.toml` says."""
    told = tomllib.loads(path.read_text())
    return Terms(frozenset(told["allowed"]), told["excepted"], told["read"])


def parse(licence: str) -> LicenseExpression | None:
    """Return an SPDX expression that is one; None for anything else."""
    try:
        return SPDX.parse(licence, validate=True) if licence else None
    except ExpressionError:
        return None


def licence_of(package: str, read: Mapping[str, str]) -> str:
    """Return the licence that an installed package says it has, as SPDX writes it; "" where it says nothing clear.

    `read` goes before: it holds what we have read in the files of packages that are not clear.
    """
    if package in read:
        return read[package]
    told = distribution(package).metadata
    for field in ("License-Expression", "License"):
        if field in told and (parsed := parse(told[field].strip())) is not None:
            return str(parsed)
    classified = [one for one in told.get_all("Classifier") or () if one.startswith("License ::")]
    return CLASSIFIERS.get(classified[0], "") if len(classified) == 1 else ""
