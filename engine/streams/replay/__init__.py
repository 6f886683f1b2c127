"""Replay records through the creation source and the production source, and compare what arrives, field by field."""
