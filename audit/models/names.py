"""Printed names, each under the mark that stands for it in hashed and signed bytes. They are emptied, never edited."""

from typing import Any

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Func, Q, Value
from django.db.models.functions import Concat

from audit.marks import LEFT, PREFIX

MARK = Concat(
    Value(PREFIX),
    Func(
        Func(
            Func(Concat("salt", "name"), Value("UTF8"), function="convert_to", output_field=models.BinaryField()),
            function="sha256",
            output_field=models.BinaryField(),
        ),
        Value("hex"),
        function="encode",
        output_field=models.CharField(),
    ),
)
# A name goes with its salt, once, and only of somebody whose account has lost them, too; the pseudonym takes its place.
EMPTIED = """
    IF OLD.salt = '' OR NEW.salt <> '' OR NEW.id <> OLD.id OR NEW.account_id <> OLD.account_id
       OR NOT EXISTS (SELECT FROM audit_account a WHERE a.id = NEW.account_id AND a.pseudonymised_at IS NOT NULL
                         AND btrim(a.first_name || ' ' || a.last_name) = NEW.name) THEN
        RAISE EXCEPTION 'a printed name is emptied once, for a leaver, and never edited'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'printed_name_only_emptied';
    END IF;
    RETURN NEW;
"""

# What a text says with names in the place of marks. In a text from before there were marks, the names of those who have
# left give way to their pseudonyms: of the people that are given, the first is before ' for ', the second behind it.
SPOKEN = """
CREATE OR REPLACE FUNCTION audit_spoken(said text, VARIADIC people bigint[] DEFAULT '{}') RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    one RECORD;
BEGIN
    IF said ~ 'name:[0-9a-f]{64}' THEN
        FOR one IN SELECT p.id, p.name FROM audit_printedname p WHERE p.id IN (
            SELECT hit.mark[1] FROM regexp_matches(said, 'name:[0-9a-f]{64}', 'g') AS hit(mark))
        LOOP
            said := replace(said, one.id, one.name);
        END LOOP;
        RETURN said;
    END IF;
    IF EXISTS (SELECT FROM audit_printedname p WHERE p.account_id = ANY(people) AND p.salt = '') THEN
        RETURN (SELECT string_agg(COALESCE((SELECT p.name FROM audit_printedname p
                           WHERE p.account_id = people[place] AND p.salt = '' LIMIT 1), part), ' for ' ORDER BY place)
                  FROM unnest(string_to_array(said, ' for ')) WITH ORDINALITY AS parts(part, place));
    END IF;
    RETURN said;
END $$
"""

# What JSON says with names in the place of marks.
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


class NameText(models.CharField):
    """A text in which marks stand for names. It is written with marks, and read with the names.

    `people` are the columns that say whose names they are, for texts from before there were marks.
    """

    def __init__(self, *args: Any, people: tuple[str, ...] = (), **kwargs: Any) -> None:
        """Remember whose names may stand in the text."""
        self.people = people
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Leave the people out: they change what is read, and not the table."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        """Read the text as it is spoken."""
        table = sql.rpartition(".")[0]
        told = [sql, *(f'{table}."{column}"' for column in self.people)]
        return f"audit_spoken({', '.join(told)})", params


class NameJSON(models.JSONField):
    """JSON in which marks stand for names. It is written with marks, and read with the names."""

    def deconstruct(self) -> Any:
        """Change nothing of the table."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        """Read the JSON as it is told."""
        return f"audit_told({sql})", params


class PrintedName(models.Model):
    """One name of one account as it was printed. Its mark is a hash over a salt and it, so it tells nothing without."""

    id = models.CharField(primary_key=True, max_length=69, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="printed_names")
    name = models.CharField(max_length=301)
    salt = models.CharField(max_length=64, blank=True, help_text="Empty: the name is gone, and this is a pseudonym.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(salt="", name__regex=f"^{LEFT.pattern}$") | Q(id=MARK, salt__regex="^[0-9a-f]{64}$"),
                name="printed_name_under_its_mark",
            )
        ]
        triggers = [
            pgtrigger.Trigger(name="only_emptied", operation=pgtrigger.Update, when=pgtrigger.Before, func=EMPTIED),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.name
