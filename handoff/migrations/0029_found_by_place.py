"""Let the inbox find what is under way in an environment, and what was offered later, by index."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("handoff", "0028_people_who_left"),
        ("models_registry", "0014_read_by_index"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="handoff",
            index=models.Index(fields=["model", "target", "number"], name="handoff_by_model_and_place"),
        ),
        migrations.AddIndex(
            model_name="handoff",
            index=models.Index(fields=["target", "state"], name="handoff_by_place_and_state"),
        ),
    ]
