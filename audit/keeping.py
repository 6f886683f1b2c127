"""Note when what keeps the records safe was last done."""

from django.utils import timezone

from audit.models import Keeping


def done(kind: Keeping.Kind, *, whole: bool, words: str = "") -> None:
    """Note that a proof or a look has ended, and whether everything was as it should be."""
    told = {"at": timezone.now(), "whole": whole, "words": words[:300]}
    Keeping.objects.update_or_create(kind=kind, defaults=told)
