"""Break the product at every named point, and look whether anything is lost, doubled or let through."""
