"""What is wrong with the product's parts."""


class Wrong(Exception):
    """Say what is wrong, and what to do about it."""
