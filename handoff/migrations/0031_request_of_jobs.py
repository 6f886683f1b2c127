"""Let a job tell which request it comes from, so that logs are followed from the browser to the engine."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("handoff", "0030_retrains"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="request",
            field=models.CharField(
                blank=True, db_default="", default="", help_text="The request it is from.", max_length=64
            ),
        ),
    ]
