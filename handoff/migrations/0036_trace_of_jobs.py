from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("handoff", "0035_reattestation_and_checklists"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="trace",
            field=models.CharField(
                blank=True, db_default="", default="", help_text="The traceparent of that request.", max_length=55
            ),
        ),
    ]
