"""Schemas from other languages and into them. What a language cannot say is told in a note, never dropped silently."""
