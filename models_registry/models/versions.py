"""Model versions, the elements they are made of, and the blobs that hold the elements' bytes."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from models_registry.models.registered_models import RegisteredModel
from models_registry.states import ELEMENTS, MOVES, VersionState

SHA256 = r"^[0-9a-f]{64}$"

ELEMENT_OF_A_DRAFT = """
    IF TG_OP <> 'INSERT' THEN
        PERFORM 1 FROM models_registry_modelversion WHERE id = OLD.version_id AND state <> 'draft' FOR SHARE;
        IF FOUND THEN RAISE EXCEPTION 'an element of a sealed version never changes' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'element_sealed'; END IF;
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    PERFORM 1 FROM models_registry_modelversion WHERE id = NEW.version_id AND state = 'draft' FOR SHARE;
    IF NOT FOUND THEN RAISE EXCEPTION 'an element of a sealed version never changes' USING ERRCODE = 'check_violation',
        CONSTRAINT = 'element_sealed'; END IF;
    RETURN NEW;
"""


class Blob(models.Model):
    """Bytes in the store, under the SHA-256 of what they are. Written once, never overwritten."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=SHA256), name="blob_named_by_sha256"),
            models.CheckConstraint(condition=Q(size__gte=0), name="blob_size_not_negative"),
        ]
        triggers = [pgtrigger.Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return self.sha256


class ModelVersion(models.Model):
    """One candidate. A draft until nominated; nomination seals it under the digest of its manifest."""

    class Format(models.TextChoices):
        ONNX = "onnx", "ONNX"
        SKOPS = "skops", "scikit-learn (skops)"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=VersionState, default=VersionState.DRAFT)
    format = models.CharField(max_length=8, choices=Format, blank=True)
    notes = models.TextField(blank=True, help_text="What changed since the version before, and why.")
    manifest = models.TextField(blank=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    nominated_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    nominated_at = models.DateTimeField(null=True)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="version_number_once"),
            models.UniqueConstraint(fields=["digest"], condition=~Q(digest=""), name="version_digest_once"),
            models.CheckConstraint(condition=Q(state__in=VersionState.values), name="version_state_known"),
            models.CheckConstraint(
                condition=~Q(state="nominated")
                | Q(digest__regex=SHA256, nominated_by__isnull=False, nominated_at__isnull=False) & ~Q(manifest=""),
                name="version_nominated_is_sealed",
            ),
        ]
        triggers = [
            pgtrigger.FSM(
                name="legal_moves",
                field="state",
                transitions=[(a.value, b.value) for a, targets in MOVES.items() for b in sorted(targets)],
            ),
            pgtrigger.Protect(
                name="sealed",
                operation=pgtrigger.Update | pgtrigger.Delete,
                condition=pgtrigger.Q(old__state="nominated"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"


class Element(models.Model):
    """One element of a version: a named blob. Small texts are kept here too, equal to the blob by constraint."""

    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="elements")
    name = models.CharField(max_length=16)
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    filename = models.CharField(max_length=120)
    text = models.TextField(null=True)
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    set_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["version", "name"], name="element_once_a_version"),
            models.CheckConstraint(condition=Q(name__in=ELEMENTS), name="element_name_known"),
            models.CheckConstraint(
                condition=Q(text=None)
                | Q(
                    blob=models.Func(
                        models.Func(
                            models.Func(F("text"), models.Value("UTF8"), function="convert_to"), function="sha256"
                        ),
                        models.Value("hex"),
                        function="encode",
                        output_field=models.TextField(),
                    )
                ),
                name="element_text_is_its_blob",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="only_in_a_draft",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                func=ELEMENT_OF_A_DRAFT,
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.blob_id[:12]}"
