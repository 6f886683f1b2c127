"""JSON that holds marks is read with the names that they stand for."""

from django.db import migrations

TOLD = """
CREATE OR REPLACE FUNCTION audit_told(said jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    words text := said::text;
    one RECORD;
BEGIN
    FOR one IN SELECT p.id, to_json(p.name)::text AS name FROM audit_printedname p WHERE p.id IN (
        SELECT hit.mark[1] FROM regexp_matches(words, 'name:[0-9a-f]{64}', 'g') AS hit(mark))
    LOOP
        words := replace(words, one.id, substr(one.name, 2, length(one.name) - 2));
    END LOOP;
    RETURN words::jsonb;
END $$
"""


class Migration(migrations.Migration):
    online = "A function that nothing called before."

    dependencies = [
        ("audit", "0011_name_holds"),
    ]

    operations = [
        migrations.RunSQL(TOLD, "DROP FUNCTION audit_told"),
    ]
