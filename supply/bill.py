"""Write the bill of materials of the product: CycloneDX 1.6, the same bytes from the same locks, without a network.

https://cyclonedx.org/docs/1.6/json/
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from supply import record
from supply.locks import ENGINE, ROOT, RUNNING, SITE, Locked
from supply.record import Known

FILE = ROOT / "docs" / "security" / "bom.cdx.json"
VENDORED = ROOT / "static" / "vendor" / "assets.json"
LICENCES = LicenseFactory()


def text(locked: Mapping[str, Locked], known: Mapping[str, Known], vendored: Path = VENDORED) -> str:
    """Return the bill of all that a running installation is made of.

    A component is *required* where the site or the engine cannot run without it, else *optional*. The SHA-256 of its
    files are those of the locks. The serial number follows from the content, and the time is that of the newest part.
    """
    running = [one for one in locked.values() if one.lists & set(RUNNING)]
    product = _product()
    parts = {one.name: _package(one, record.of(one.name, known)) for one in running}
    scripts = list(_scripts(json.loads(vendored.read_text())))
    newest = max(record.of(one.name, known).released for one in running)
    bom = Bom(components=[*parts.values(), *scripts])
    bom.metadata = BomMetaData(component=product, timestamp=datetime.fromisoformat(newest).replace(tzinfo=UTC))
    asked = {name for name, one in parts.items() if any(by.startswith("-r ") for by in locked[name].asked_by)}
    bom.register_dependency(product, [*(parts[name] for name in sorted(asked)), *scripts])
    for name, part in parts.items():
        bom.register_dependency(part, [parts[one.name] for one in running if name in one.asked_by])
    bom.serial_number = uuid5(NAMESPACE_URL, _written(bom).replace(str(bom.serial_number), ""))
    return _written(bom) + "\n"


def _written(bom: Bom) -> str:
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)


def _product() -> Component:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return Component(
        type=ComponentType.APPLICATION,
        bom_ref=about["name"],
        name=about["name"],
        version=about["version"],
        description=about["description"],
        licenses=[LICENCES.make_from_string(about["license"])],
    )


def _package(one: Locked, known: Known) -> Component:
    purl = PackageURL("pypi", None, one.name, one.version)
    page = f"https://pypi.org/project/{one.name}/{one.version}/"
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in sorted(one.hashes)]
    needed = one.lists & {SITE, ENGINE}
    return Component(
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        name=one.name,
        version=one.version,
        purl=purl,
        scope=ComponentScope.REQUIRED if needed else ComponentScope.OPTIONAL,
        licenses=[LICENCES.make_from_string(known.licence)],
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(page), hashes=hashes)
        ],
        properties=[
            Property(name="mdlc:locked_in", value=" ".join(sorted(one.lists & set(RUNNING)))),
            Property(name="mdlc:released", value=known.released),
        ],
    )


def _scripts(assets: Iterable[Mapping[str, Any]]) -> Iterable[Component]:
    """Give the parts of pages that lie in the source tree, each with its files."""

    def part(asset: Mapping[str, Any]) -> tuple[str, str, str]:
        return asset["name"], asset["version"], asset["licence"]

    for (name, version, licence), files in groupby(sorted(assets, key=part), part):
        scope, _, bare = name.rpartition("/")
        purl = PackageURL("npm", scope or None, bare, version)
        yield Component(
            type=ComponentType.LIBRARY,
            bom_ref=str(purl),
            group=scope or None,
            name=bare,
            version=version,
            purl=purl,
            scope=ComponentScope.REQUIRED,
            licenses=[LICENCES.make_from_string(licence)],
            components=[
                Component(
                    type=ComponentType.FILE,
                    bom_ref=f"static/vendor/{file['file']}",
                    name=file["file"],
                    hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file["sha256"])],
                )
                for file in files
            ],
        )


def faults(kept: str, wanted: str) -> list[str]:
    """Say why what is kept is not the bill that is wanted, and how that one breaks the schema of CycloneDX 1.6."""
    broken = JsonStrictValidator(SchemaVersion.V1_6).validate_str(wanted, all_errors=True)
    found = [f"The bill of materials breaks the schema of CycloneDX: {one}" for one in broken or ()]
    if kept != wanted:
        found.append("docs/security/bom.cdx.json is not the bill of what is locked; run `make bill`.")
    return found
