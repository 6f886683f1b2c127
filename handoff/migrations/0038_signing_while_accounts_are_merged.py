import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("handoff", "0037_one_person_behind_break_glass"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="amendmentsignoff",
            name="distinct_persons",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="breakglass",
            name="two_people",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="signoff",
            name="distinct_persons",
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="amendmentsignoff",
            trigger=pgtrigger.compiler.Trigger(
                name="distinct_persons",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n    PERFORM pg_advisory_xact_lock_shared(hashtext('audit_account.same_person'));\n    IF EXISTS (\n        SELECT FROM handoff_amendmentsignoff s\n          JOIN audit_account o ON o.id IN (s.signer_id, s.behalf_of_id)\n          JOIN audit_account n ON n.id IN (NEW.signer_id, NEW.behalf_of_id)\n         WHERE s.amendment_id = NEW.amendment_id\n           AND COALESCE(o.same_person_id, o.id) = COALESCE(n.same_person_id, n.id)) THEN\n        RAISE EXCEPTION 'one natural person signs an amendment once, whichever account and for whomever'\n        USING ERRCODE = 'unique_violation', CONSTRAINT = 'amendment_signoff_distinct_persons';\n    END IF;\n    RETURN NEW;\n",
                    hash="c02283e9536eb5e499f52a563da0aa8201e49e25",
                    operation="INSERT",
                    pgid="pgtrigger_distinct_persons_c6c5b",
                    table="handoff_amendmentsignoff",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="breakglass",
            trigger=pgtrigger.compiler.Trigger(
                name="two_people",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (NEW."confirmed_by_id" IS NOT NULL AND OLD."confirmed_by_id" IS NULL)',
                    func="\n    PERFORM pg_advisory_xact_lock_shared(hashtext('audit_account.same_person'));\n    IF EXISTS (SELECT FROM audit_account a WHERE a.id IN (NEW.asked_by_id, NEW.confirmed_by_id, NEW.behalf_of_id)\n                  AND a.kind <> 'person')\n       OR EXISTS (\n        SELECT FROM audit_account asks JOIN audit_account confirms\n            ON COALESCE(asks.same_person_id, asks.id) = COALESCE(confirms.same_person_id, confirms.id)\n         WHERE asks.id = NEW.asked_by_id AND confirms.id IN (NEW.confirmed_by_id, NEW.behalf_of_id)) THEN\n        RAISE EXCEPTION 'one natural person asks for break-glass, and another one confirms it'\n        USING ERRCODE = 'check_violation', CONSTRAINT = 'break_glass_two_people';\n    END IF;\n    RETURN NEW;\n",
                    hash="20c0b56c34447bd50daddaaccd0f0253b0ad88cd",
                    operation="UPDATE",
                    pgid="pgtrigger_two_people_ce58e",
                    table="handoff_breakglass",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="signoff",
            trigger=pgtrigger.compiler.Trigger(
                name="distinct_persons",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n    PERFORM pg_advisory_xact_lock_shared(hashtext('audit_account.same_person'));\n    IF EXISTS (\n        SELECT FROM handoff_signoff s\n          JOIN audit_account o ON o.id IN (s.signer_id, s.behalf_of_id)\n          JOIN audit_account n ON n.id IN (NEW.signer_id, NEW.behalf_of_id)\n         WHERE s.handoff_id = NEW.handoff_id AND s.gate = NEW.gate AND s.voided_at IS NULL\n           AND COALESCE(o.same_person_id, o.id) = COALESCE(n.same_person_id, n.id)) THEN\n        RAISE EXCEPTION 'one natural person signs once at a gate, whichever account and for whomever'\n        USING ERRCODE = 'unique_violation', CONSTRAINT = 'signoff_distinct_persons';\n    END IF;\n    RETURN NEW;\n",
                    hash="972544922a9f7a545b9953b024107e49e0b3190d",
                    operation="INSERT",
                    pgid="pgtrigger_distinct_persons_a3d6e",
                    table="handoff_signoff",
                    when="BEFORE",
                ),
            ),
        ),
    ]
