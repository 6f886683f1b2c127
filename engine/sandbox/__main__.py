"""Tell which sandbox this machine has: `python -m engine.sandbox`."""

from engine.sandbox import ladder

print(ladder.found().told())
