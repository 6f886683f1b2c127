"""Compare the keys of grants as texts, so that the slow index of the constraint is taken for nothing else."""

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.db.models.functions.comparison
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("models_registry", "0013_holdings_by_index"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="environmentgroupgrant",
            name="environmentgroupgrant_once_at_a_time",
        ),
        migrations.RemoveConstraint(
            model_name="environmentusergrant",
            name="environmentusergrant_once_at_a_time",
        ),
        migrations.RemoveConstraint(
            model_name="organisationgroupgrant",
            name="organisationgroupgrant_once_at_a_time",
        ),
        migrations.RemoveConstraint(
            model_name="organisationusergrant",
            name="organisationusergrant_once_at_a_time",
        ),
        migrations.RemoveConstraint(
            model_name="registeredmodelgroupgrant",
            name="registeredmodelgroupgrant_once_at_a_time",
        ),
        migrations.RemoveConstraint(
            model_name="registeredmodelusergrant",
            name="registeredmodelusergrant_once_at_a_time",
        ),
        migrations.AddConstraint(
            model_name="environmentgroupgrant",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                expressions=[
                    (django.db.models.functions.comparison.Cast("group", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("permission", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("content_object", models.TextField()), "="),
                    (
                        models.Func(
                            models.F("starts_at"),
                            models.F("ends_at"),
                            function="tstzrange",
                            output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField(),
                        ),
                        "&&",
                    ),
                ],
                name="environmentgroupgrant_once_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="environmentusergrant",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                expressions=[
                    (django.db.models.functions.comparison.Cast("user", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("permission", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("content_object", models.TextField()), "="),
                    (
                        models.Func(
                            models.F("starts_at"),
                            models.F("ends_at"),
                            function="tstzrange",
                            output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField(),
                        ),
                        "&&",
                    ),
                ],
                name="environmentusergrant_once_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="organisationgroupgrant",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                expressions=[
                    (django.db.models.functions.comparison.Cast("group", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("permission", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("content_object", models.TextField()), "="),
                    (
                        models.Func(
                            models.F("starts_at"),
                            models.F("ends_at"),
                            function="tstzrange",
                            output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField(),
                        ),
                        "&&",
                    ),
                ],
                name="organisationgroupgrant_once_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="organisationusergrant",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                expressions=[
                    (django.db.models.functions.comparison.Cast("user", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("permission", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("content_object", models.TextField()), "="),
                    (
                        models.Func(
                            models.F("starts_at"),
                            models.F("ends_at"),
                            function="tstzrange",
                            output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField(),
                        ),
                        "&&",
                    ),
                ],
                name="organisationusergrant_once_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="registeredmodelgroupgrant",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                expressions=[
                    (django.db.models.functions.comparison.Cast("group", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("permission", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("content_object", models.TextField()), "="),
                    (
                        models.Func(
                            models.F("starts_at"),
                            models.F("ends_at"),
                            function="tstzrange",
                            output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField(),
                        ),
                        "&&",
                    ),
                ],
                name="registeredmodelgroupgrant_once_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="registeredmodelusergrant",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                expressions=[
                    (django.db.models.functions.comparison.Cast("user", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("permission", models.TextField()), "="),
                    (django.db.models.functions.comparison.Cast("content_object", models.TextField()), "="),
                    (
                        models.Func(
                            models.F("starts_at"),
                            models.F("ends_at"),
                            function="tstzrange",
                            output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField(),
                        ),
                        "&&",
                    ),
                ],
                name="registeredmodelusergrant_once_at_a_time",
            ),
        ),
    ]
