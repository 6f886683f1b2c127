"""What the trail has done in the background."""

from datetime import timedelta
from pathlib import Path

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from audit import anchors, head_anchors, keeping
from audit.models import Keeping, RequestKey

log = structlog.get_logger(__name__)

KEYS_KEPT_FOR = timedelta(days=2)


@shared_task(name="audit.anchor", ignore_result=True)
def anchor() -> None:
    """Write down outside the database where the chains stand, and note when that was done, or why it was not."""
    try:
        anchors.write(Path(settings.ANCHORS))
    except (anchors.FileBroken, OSError) as error:
        words = f"it was changed: {error}" if isinstance(error, anchors.FileBroken) else "it cannot be written"
        keeping.done(Keeping.Kind.ANCHORS, whole=False, words=words)
        raise
    keeping.done(Keeping.Kind.ANCHORS, whole=True)


@shared_task(name="audit.anchor_outside", ignore_result=True)
def anchor_outside() -> None:
    """Anchor the newest head at the webhooks and time-stamping authorities of the settings."""
    found = head_anchors.anchor_outside()
    for place, why in found.failed.items():
        log.warning("head_not_anchored", size=found.size, place=place, why=why)


@shared_task(name="audit.forget_keys", ignore_result=True)
def forget_keys() -> None:
    """Delete the keys of requests that nobody will repeat any more."""
    RequestKey.objects.filter(created_at__lt=timezone.now() - KEYS_KEPT_FOR).delete()
