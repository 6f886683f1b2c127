"""The sample organisation: people, environments, policies, and real models trained on real data."""
