"""Measurements beside a floor or a peer, printed as a table; see `make bench`."""
