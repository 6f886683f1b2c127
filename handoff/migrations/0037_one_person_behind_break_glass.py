from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    online = "The new check refuses nothing that the old one let pass, and there are few break-glass to be read."

    dependencies = [
        ("handoff", "0036_trace_of_jobs"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="breakglass",
            name="break_glass_overdue_after_its_time",
        ),
        migrations.AddField(
            model_name="breakglass",
            name="fallen",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="It was overdue at once: both halves turned out to be one person's.",
            ),
        ),
        migrations.AddConstraint(
            model_name="breakglass",
            constraint=models.CheckConstraint(
                condition=Q(
                    Q(state__in=["overdue", "rolled_back"])
                    & (Q(overdue_at__gte=F("until")) | Q(overdue_at__isnull=False, fallen=True))
                )
                | Q(~Q(state__in=["overdue", "rolled_back"]) & Q(overdue_at=None)),
                name="break_glass_overdue_after_its_time",
            ),
        ),
    ]
