"""Make versions: a draft is filled with elements, and nominated; from then on it never changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Max
from django.utils import timezone

from audit.actors import Person, ServiceAccount
from audit.acts import act
from audit.errors import StaleView
from audit.trail import record
from engine.fault_points import fault_point
from engine.manifests import Element as ManifestElement
from engine.manifests import Manifest
from engine.thresholds import Thresholds
from models_registry import contents, store
from models_registry.access import find_model, lock_model, lock_version, require_role
from models_registry.errors import BadElement, Hidden, Invalid, MissingElement, Sealed
from models_registry.models import Blob, Element, ModelVersion
from models_registry.roles import Role
from models_registry.rules.model_types import contradicted
from models_registry.states import ELEMENTS, OPTIONAL, TEXT_ELEMENTS, VersionState

FILENAMES = {
    "model": "model",
    "input_schema": "input_schema.avsc",
    "output_schema": "output_schema.avsc",
    "runtime": "runtime.json",
    "golden": "golden.jsonl",
    "validation": "validation.jsonl",
    "thresholds": "thresholds.json",
    "training": "training.json",
}
Builder = Person | ServiceAccount


@dataclass(frozen=True, slots=True)
class Checked:
    """An element whose bytes are in the store and were checked by themselves, with what its maker should know."""

    name: str
    blob: Blob
    filename: str
    text: str | None = None
    format: str = ""
    notes: list[str] = field(default_factory=list)


@act
def draft(*, actor: Builder, model: str, notes: str = "") -> ModelVersion:
    """Start a version: an empty draft with the next number."""
    return _start(actor, model, notes)


def set_element(
    *,
    actor: Builder,
    model: str,
    number: int,
    name: str,
    chunks: Iterable[bytes],
    filename: str = "",
    format: str = "",
    revision: int | None = None,
) -> tuple[Element, list[str]]:
    """Put an element into a draft, after it was checked by itself; return it, and notes on what was read differently.

    `chunks` are streamed into the store; what is refused leaves nothing behind. `revision` is the draft that the asker
    saw. Raises Hidden, Forbidden, Sealed, StaleView, TooLarge, Unavailable, Invalid or BadElement.
    """
    _check_name(name)
    _draft_of(actor, model, number)
    checked = _check(name, chunks, filename, format)
    return _set(actor=actor, model=model, number=number, checked=checked, revision=revision), checked.notes


@act
def draft_with(
    *,
    actor: Builder,
    model: str,
    notes: str = "",
    format: str = "",
    files: Mapping[str, tuple[Iterable[bytes], str]],
) -> tuple[ModelVersion, list[str]]:
    """Start a version with all the elements that come with it, given as (chunks, file name) by element name.

    Returned are the version, and notes on what was read differently. One transaction: an element that is refused leaves
    no draft behind. Raises what `draft` and `set_element` raise.
    """
    for name in files:
        _check_name(name)
    version = _start(actor, model, notes)
    told: list[str] = []
    for name, (chunks, filename) in files.items():
        checked = _check(name, chunks, filename, format if name == "model" else "")
        _put(actor, version, checked)
        told += checked.notes
    return version, told


@act
def _set(*, actor: Builder, model: str, number: int, checked: Checked, revision: int | None) -> Element:
    version = lock_version(actor, model, number, Role.DATA_SCIENTIST)
    _check_draft(version)
    _check_seen(version, revision)
    return _put(actor, version, checked)


@act
def remove_element(*, actor: Builder, model: str, number: int, name: str, revision: int | None = None) -> ModelVersion:
    """Take an element out of a draft. `revision` is the draft that the asker saw."""
    version = lock_version(actor, model, number, Role.DATA_SCIENTIST)
    _check_draft(version)
    _check_seen(version, revision)
    gone, _ = Element.objects.filter(version=version, name=name).delete()
    if not gone:
        raise Hidden(f"The draft has no element {name}.")
    version.revision += 1
    version.save(update_fields=["revision"])
    _record("version.element_removed", actor, version, {"element": name})
    return version


@act
def infer_schemas(*, actor: Builder, model: str, number: int) -> tuple[ModelVersion, list[str]]:
    """Set the schemas that are missing from a draft to what its golden records or its model show.

    Returns the version, and notes on what a person should correct.
    """
    version = lock_version(actor, model, number, Role.DATA_SCIENTIST)
    _check_draft(version)
    paths = store.local_paths(version)
    if not {"golden", "model"} & paths.keys():
        raise MissingElement("Upload golden records or the model first.", fields={"golden": "is missing"})
    inputs, outputs, notes = contents.infer_schemas(paths)
    for name, schema in (("input_schema", inputs), ("output_schema", outputs)):
        if name not in paths:
            text = schema.canonical().decode()
            checked = Checked(name, store.keep_bytes(text.encode()), FILENAMES[name], text)
            _put(actor, version, checked, inferred=True)
    return version, notes


@act
def nominate(*, actor: Builder, model: str, number: int) -> ModelVersion:
    """Seal a draft under the digest of its manifest. Raises MissingElement that lists all that is missing.

    Everything is checked once more, together, and every blob is hashed again.
    """
    version = lock_version(actor, model, number, Role.DATA_SCIENTIST)
    _check_draft(version)
    elements = {element.name: element for element in version.elements.select_related("blob")}
    missing = [name for name in ELEMENTS if name not in elements and name not in OPTIONAL]
    if missing:
        raise MissingElement(
            "The version is not complete: " + ", ".join(missing) + " missing.",
            todo="A data scientist of the model supplies what is listed.",
            fields=dict.fromkeys(missing, "is missing; a data scientist of the model supplies it"),
        )
    for element in elements.values():
        if not store.verify(element.blob_id):
            raise Invalid(
                f"The stored bytes of {element.name} are damaged; upload it again.",
                code="blob_damaged",
                fields={element.name: "is damaged"},
            )
    texts = {name: elements[name].text or "" for name in TEXT_ELEMENTS if name in elements}
    contents.check_together(store.local_paths(version), version.format, texts)
    _check_origin(version, texts.get("training", ""))
    _check_measured(version, texts["thresholds"])
    manifest = manifest_of(version, elements)
    version.manifest, version.digest = manifest.canonical().decode(), manifest.digest
    version.state, version.nominated_by, version.nominated_at = VersionState.NOMINATED, actor.user, timezone.now()
    version.revision += 1
    version.save(update_fields=["manifest", "digest", "state", "nominated_by", "nominated_at", "revision"])
    _record("version.nominated", actor, version, {"number": version.number, "digest": version.digest})
    return version


@act
def discard(*, actor: Builder, model: str, number: int, reason: str = "") -> ModelVersion:
    """Give up a draft. It stays on record, and its number is not used again."""
    version = lock_version(actor, model, number, Role.DATA_SCIENTIST)
    _check_draft(version)
    version.state = VersionState.DISCARDED
    version.revision += 1
    version.save(update_fields=["state", "revision"])
    _record("version.discarded", actor, version, {"number": version.number}, reason)
    return version


def manifest_of(version: ModelVersion, elements: Mapping[str, Element]) -> Manifest:
    """Return the manifest of a version from its elements."""
    rows = [ManifestElement(e.name, e.blob_id, e.blob.size, e.filename) for e in elements.values()]
    ordered = tuple(sorted(rows, key=lambda e: e.name))
    return Manifest(version.model.slug, version.number, version.format, ordered)


def _check_measured(version: ModelVersion, thresholds: str) -> None:
    """Let a version be measured as its model's type is: policies that speak for the type rely on it."""
    why = contradicted(version.model.model_type, [metric.name for metric in Thresholds.parse(thresholds).metrics])
    if why:
        raise BadElement(
            f"The thresholds do not go with the type of the model: {why}.",
            code="type_contradicted",
            todo="Add a threshold of that kind; or, before the first version is nominated, correct the model's type.",
            fields={"thresholds": why},
        )


def _check_origin(version: ModelVersion, training: str) -> None:
    """Let a retrain name a sealed version of the same model only."""
    number = contents.read_training(training.encode()).get("retrained_from") if training else None
    earlier = ModelVersion.objects.filter(model=version.model_id, number__lt=version.number)
    if number is not None and not earlier.filter(number=number, state=VersionState.NOMINATED).exists():
        raise BadElement(
            f"The version says that it was retrained from version {number}, and there is no such sealed one before it.",
            code="training_invalid",
            todo="Name the version that was trained anew, or leave retrained_from out.",
            fields={"training": "retrained_from is no sealed version before this one"},
        )


def _start(actor: Builder, model: str, notes: str) -> ModelVersion:
    registered = lock_model(actor, model, Role.DATA_SCIENTIST)
    last = ModelVersion.objects.filter(model=registered).aggregate(last=Max("number"))["last"] or 0
    version = ModelVersion.objects.create(model=registered, number=last + 1, notes=notes, created_by=actor.user)
    _record("version.drafted", actor, version, {"number": version.number, "notes": notes})
    return version


def _check_name(name: str) -> None:
    if name not in ELEMENTS:
        raise Invalid("There is no such element.", fields={"name": "must be one of " + ", ".join(ELEMENTS)})


def _draft_of(actor: Builder, model: str, number: int) -> None:
    """Refuse early, before bytes are read; the act itself looks again under lock."""
    registered = find_model(actor, model)
    version = ModelVersion.objects.filter(model=registered, number=number).first()
    if version is None:
        raise Hidden(f"There is no version {number}.")
    require_role(actor, registered, Role.DATA_SCIENTIST)
    _check_draft(version)


def _check_draft(version: ModelVersion) -> None:
    if version.state != VersionState.DRAFT:
        raise Sealed(
            f"Version {version.number} is {VersionState(version.state).label}; it never changes.",
            todo="Start the next version.",
        )


def _check_seen(version: ModelVersion, revision: int | None) -> None:
    """Refuse a change that was made against an older draft; the lock is held, so nobody comes in between."""
    if revision is not None and revision != version.revision:
        raise StaleView("The draft changed after you read it.", todo="Read it again, then repeat your change.")


def _check(name: str, chunks: Iterable[bytes], filename: str, format: str) -> Checked:
    """Receive an element's bytes, check them, and only then put them into the store."""
    label = _label(filename) or FILENAMES[name]
    with store.received(chunks) as (path, digest, size):
        if name in TEXT_ELEMENTS:
            if size > 1_000_000:
                raise Invalid(
                    f"{name} is larger than a megabyte.", code="file_too_large", fields={name: "is too large"}
                )
            text, notes = contents.canonical_text(name, path.read_bytes(), filename)
            return Checked(name, store.keep_bytes(text.encode()), _kept_as(name, label), text, notes=notes)
        if name == "model":
            found = contents.check_model(path, format)
            return Checked(
                name, store.keep_file(path, digest, size), _label(filename) or f"model.{found}", format=found
            )
        contents.check_records(name, path)
        return Checked(name, store.keep_file(path, digest, size), label)


def _label(filename: str) -> str:
    """Return a file's name as a label: it never becomes a path of ours."""
    plain = filename.replace("\\", "/").split("/")[-1]
    return "".join(c for c in plain if c.isprintable() and c not in '<>:"|?*')[:120].strip(". ")


def _kept_as(name: str, label: str) -> str:
    """Return the name of a small element's file; a schema is kept as Avro, whatever language it came in."""
    return label if label.lower().endswith((".avsc", ".json")) else FILENAMES[name]


def _put(actor: Builder, version: ModelVersion, checked: Checked, *, inferred: bool = False) -> Element:
    element, _ = Element.objects.update_or_create(
        version=version,
        name=checked.name,
        defaults={
            "blob": checked.blob,
            "filename": checked.filename,
            "text": checked.text,
            "set_by": actor.user,
            "set_at": timezone.now(),
        },
    )
    version.revision += 1
    version.format = checked.format or version.format
    version.save(update_fields=["revision", "format"])
    _record(
        "version.element_set",
        actor,
        version,
        {"element": checked.name, "sha256": checked.blob.sha256, "size": checked.blob.size, "inferred": inferred}
        | ({"notes": checked.notes} if checked.notes else {}),
    )
    fault_point("element.written")
    return element


def _record(action: str, actor: Builder, version: ModelVersion, data: dict[str, object], reason: str = "") -> None:
    record(
        action,
        actor=actor,
        on=version,
        chain=f"model:{version.model_id}",
        data={"version": version.number, **data},
        reason=reason,
    )
