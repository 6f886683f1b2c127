"""What the outside world does to us."""


class ExecutorError(Exception):
    """Something outside failed. `permanent`: it would fail again; otherwise it is worth another try.

    `code` says what the failure means for the handoff: a reason code of a return, or 'unreachable' or 'stale_order'.
    """

    def __init__(self, message: str, *, permanent: bool, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent
        self.code = code or ("operability" if permanent else "unreachable")
