"""Make the table of the cache. It is in the database because signing in must not depend on the broker's server."""

from django.core.management import call_command
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def create(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the table unless it is there."""
    call_command("createcachetable", database=editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
