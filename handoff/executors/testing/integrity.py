"""Integrity: every byte is what was sealed, and nothing was added."""

from hashlib import sha256
from pathlib import Path

from engine.manifests import Manifest
from engine.runner import Limits
from handoff.executors.testing.findings import Finding, Log, counted
from handoff.plans import TestPlan

CHUNK = 1 << 20


def run(plan: TestPlan, limits: Limits, log: Log) -> Finding:
    """Hash the manifest and every element again, and compare with the digests that were signed."""
    manifest = Manifest.parse(plan.manifest)
    wrong = []
    if manifest.digest != plan.digest:
        wrong.append(f"the manifest hashes to {manifest.digest}, not {plan.digest}")
    log.line(f"manifest: {manifest.digest}")
    size = 0
    for element in manifest.elements:
        path = plan.elements.get(element.name)
        seen, length = _hash(path) if path is not None and path.exists() else ("", 0)
        size += length
        if not seen:
            wrong.append(f"the element {element.name} is gone")
        elif (seen, length) != (element.sha256, element.size):
            wrong.append(f"the element {element.name} hashes to {seen}, not {element.sha256}")
        log.line(f"{element.name}: {length} bytes, {seen or 'gone'}")
    wrong += [f"the element {name} is not in the manifest" for name in plan.elements.keys() - _names(manifest)]
    figures = {"elements": len(manifest.elements), "bytes": size, "wrong": len(wrong)}
    if wrong:
        return Finding(False, "Not what was sealed: " + "; ".join(sorted(wrong)) + ".", figures)
    what = counted(len(manifest.elements), "element")
    return Finding(True, f"All {what} ({size} bytes) and the manifest hash to what was sealed.", figures)


def _names(manifest: Manifest) -> set[str]:
    return {element.name for element in manifest.elements}


def _hash(path: Path) -> tuple[str, int]:
    seen, length = sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            seen.update(chunk)
            length += len(chunk)
    return seen.hexdigest(), length
