"""Compare the keys of grants as texts, so that the slow index of the constraint is taken for nothing else."""

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField
from django.db import migrations, models
from django.db.models.functions import Cast

GRANTS = [
    (f"{thing}{holder}grant", holder)
    for thing in ("environment", "organisation", "registeredmodel")
    for holder in ("group", "user")
]


def once(table: str, holder: str) -> ExclusionConstraint:
    during = models.Func(
        models.F("starts_at"), models.F("ends_at"), function="tstzrange", output_field=DateTimeRangeField()
    )
    same = [(Cast(key, models.TextField()), "=") for key in (holder, "permission", "content_object")]
    return ExclusionConstraint(expressions=[*same, (during, "&&")], name=f"{table}_once_at_a_time")


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("models_registry", "0013_holdings_by_index"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        *(migrations.RemoveConstraint(model_name=table, name=f"{table}_once_at_a_time") for table, _ in GRANTS),
        *(migrations.AddConstraint(model_name=table, constraint=once(table, holder)) for table, holder in GRANTS),
    ]
