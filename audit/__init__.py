"""Who acts, the names of all acts, and the append-only trail. Knows nothing about what it records."""
