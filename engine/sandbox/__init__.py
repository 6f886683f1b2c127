"""The ladder of sandboxes for a process that touches a model: what each level is made of, and whether it holds."""
