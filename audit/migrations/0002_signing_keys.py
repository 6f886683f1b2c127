import django.db.models.functions.datetime
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                ("id", models.CharField(editable=False, max_length=64, primary_key=True, serialize=False)),
                ("public_key", models.BinaryField(help_text="The 32 raw bytes.")),
                ("registered_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("retired_at", models.DateTimeField(null=True)),
                ("retired_because", models.TextField(blank=True)),
            ],
            options={
                "ordering": ["registered_at"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "id",
                                models.Func(
                                    models.Func(
                                        models.F("public_key"), function="sha256", output_field=models.BinaryField()
                                    ),
                                    models.Value("hex"),
                                    function="encode",
                                    output_field=models.CharField(),
                                ),
                            )
                        ),
                        name="signing_key_is_called_by_its_hash",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("retired_at", None), ("retired_because", "")),
                            models.Q(("retired_at__isnull", False), models.Q(("retired_because", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="signing_key_retired_with_a_reason",
                    ),
                ],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="signingkey",
            trigger=pgtrigger.compiler.Trigger(
                name="only_retiring",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."public_key" IS DISTINCT FROM (NEW."public_key") OR OLD."registered_at" IS DISTINCT FROM (NEW."registered_at"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="4b3258826a01012d771a92efd1cab17655950501",
                    operation="UPDATE",
                    pgid="pgtrigger_only_retiring_2c41f",
                    table="audit_signingkey",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="signingkey",
            trigger=pgtrigger.compiler.Trigger(
                name="retired_once",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."retired_at" IS NOT NULL)',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="6e76b053e76f3892f347cc128fb57be025784199",
                    operation="UPDATE",
                    pgid="pgtrigger_retired_once_7a726",
                    table="audit_signingkey",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="signingkey",
            trigger=pgtrigger.compiler.Trigger(
                name="kept",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;",
                    hash="87559265852bdf3a709e6af0d5fe9af18a16fd62",
                    operation="DELETE",
                    pgid="pgtrigger_kept_e15ea",
                    table="audit_signingkey",
                    when="BEFORE",
                ),
            ),
        ),
    ]
