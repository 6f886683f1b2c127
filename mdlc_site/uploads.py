"""How files come in: straight to disk, and never much more of one than may be kept."""

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler


class Bounded(TemporaryFileUploadHandler):
    """Write an upload to a temporary file, and let go of what is beyond the limit.

    One byte more than the limit is written, so that whoever counts what came sees that it is too much.
    """

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write what came, as far as there is room for it."""
        room = settings.UPLOAD_LIMIT + 1 - start
        if room > 0:
            self.file.write(raw_data[:room])
