"""Refuse passwords that are made of words which whoever guesses would try first: those of this organisation."""

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

from models_registry.models import Environment, Organisation

SHORTEST = 4  # letters of a word that counts; shorter ones are in every sentence
OWN = frozenset({"mdlc", "handoff", "model", "models", "password", "production"})
LEFT = 8  # letters and digits that have to be left once the words are taken away


class WordsOfTheOrganisation:
    """Refuse a password of which too little is left without such words."""

    def validate(self, password: str, user: object | None = None) -> None:
        """Raise ValidationError for a password that is made of them."""
        left = password.lower()
        for word in sorted(words(), key=len, reverse=True):
            left = left.replace(word, "")
        if len(left) < len(password) and len(re.sub(r"[\W_]", "", left)) < LEFT:
            raise ValidationError(self.get_help_text())

    def get_help_text(self) -> str:
        """Say what is asked for."""
        return "Your password must not be made of words of this organisation: its names, its environments or this site."


def words() -> set[str]:
    """Return the words: of the product, the site's address, `MDLC_PASSWORD_WORDS`, organisations and environments."""
    told = {urlsplit(settings.SITE_URL).hostname or "", *settings.PASSWORD_WORDS}
    for table in (Organisation, Environment):
        for names in table.objects.values_list("slug", "name"):
            told.update(names)
    found = {word for text in told for word in re.findall(r"\w+", text.lower().replace("_", " "))}
    return {word for word in found if len(word) >= SHORTEST} | OWN
