"""Streams: where records come from and where they go, in one environment."""
