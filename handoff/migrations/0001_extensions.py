"""What the tables rest on: an extension for one owner at a time, and the sequence of fencing numbers."""

from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations


class Migration(migrations.Migration):
    dependencies: list[tuple[str, str]] = []
    operations = [
        BtreeGistExtension(),
        migrations.RunSQL("CREATE SEQUENCE handoff_fence", "DROP SEQUENCE handoff_fence"),
    ]
