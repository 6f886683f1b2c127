"""The runtime: schemas, model formats, the scan, the runner and the scoring server. Plain Python, without Django."""
