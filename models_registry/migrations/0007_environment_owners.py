"""Owners of environments with dates; those of before are read from the trail."""

import json
from typing import Any

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations, models
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange


def fill(apps: Any, schema_editor: Any) -> None:
    """Write who answered for each environment since it was created, as its chain of the trail tells it."""
    environment_owner = apps.get_model("models_registry", "EnvironmentOwner")
    account, event = apps.get_model("audit", "Account"), apps.get_model("audit", "AuditEvent")
    for one in apps.get_model("models_registry", "Environment").objects.all():
        since, rows = one.created_at, []
        told = event.objects.filter(chain=f"environment:{one.pk}", action="environment.changed").order_by("seq")
        for at, body in told.values_list("at", "body"):
            changed = json.loads(body)["data"]
            if "owner" not in changed.get("after", {}) or changed["before"].get("owner") == changed["after"]["owner"]:
                continue
            before = account.objects.filter(username=changed["before"].get("owner", "")).first()
            if before is not None and since < at:
                rows.append((before.pk, DateTimeTZRange(since, at, "[)")))
            since = at
        rows.append((one.owner_id, DateTimeTZRange(since, None, "[)")))
        environment_owner.objects.bulk_create(
            environment_owner(environment=one, person_id=person, period=period) for person, period in rows
        )


class Migration(migrations.Migration):
    dependencies = [
        ("models_registry", "0006_import_exceptions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        BtreeGistExtension(),
        migrations.CreateModel(
            name="EnvironmentOwner",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("period", django.contrib.postgres.fields.ranges.DateTimeRangeField()),
                (
                    "environment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="owners",
                        to="models_registry.environment",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    django.contrib.postgres.constraints.ExclusionConstraint(
                        expressions=[("environment", "="), ("period", "&&")], name="environment_owner_one_at_a_time"
                    )
                ],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="environmentowner",
            trigger=pgtrigger.compiler.Trigger(
                name="only_ended",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."environment_id" IS DISTINCT FROM (NEW."environment_id") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."person_id" IS DISTINCT FROM (NEW."person_id"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="c4cbb00d03e23191555fbf89880263587e4b2bfb",
                    operation="UPDATE",
                    pgid="pgtrigger_only_ended_12439",
                    table="models_registry_environmentowner",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="environmentowner",
            trigger=pgtrigger.compiler.Trigger(
                name="ended_once",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (NOT upper_inf(OLD.period) OR lower(NEW.period) <> lower(OLD.period))",
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="953ce119da8009f9c1332eba6e11576141804036",
                    operation="UPDATE",
                    pgid="pgtrigger_ended_once_e0fc3",
                    table="models_registry_environmentowner",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="environmentowner",
            trigger=pgtrigger.compiler.Trigger(
                name="kept",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;",
                    hash="bdab08ef38f8b048e4e4d0f90a2b8c168f39ce73",
                    operation="DELETE",
                    pgid="pgtrigger_kept_5ebd0",
                    table="models_registry_environmentowner",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
