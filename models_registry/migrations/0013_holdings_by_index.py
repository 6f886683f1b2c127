"""Judge a delegation by the grants of its delegator alone, which an index finds.

Without OFFSET 0 the database joins delegations with all grants that there are, whoever is asked for.
"""

from django.db import migrations

HOLDING = """
CREATE OR REPLACE VIEW models_registry_holding AS
SELECT id, role, account_id, model_id, environment_id, NULL::bigint AS for_id FROM models_registry_granted
UNION ALL
SELECT 'd' || d.id, d.role, d.delegate_id, d.model_id, d.environment_id, d.delegator_id
  FROM models_registry_delegation d JOIN audit_account a ON a.id = d.delegator_id AND a.is_active
 WHERE d.starts_at <= statement_timestamp() AND d.ends_at > statement_timestamp()
   AND EXISTS (SELECT FROM models_registry_granted g WHERE g.account_id = d.delegator_id AND g.role = d.role
                  AND (g.model_id = d.model_id OR g.environment_id = d.environment_id) {together})
"""


class Migration(migrations.Migration):
    dependencies = [("models_registry", "0012_delegations")]

    operations = [migrations.RunSQL(HOLDING.format(together="OFFSET 0"), HOLDING.format(together=""))]
