"""Write to the trail, inside the transaction of the act that is recorded.

What is hashed can never be changed, so a person is named there by a mark (audit/marks.py), and never by a name.
"""

from collections.abc import Mapping
from typing import Any

import rfc8785
from django.db import models, transaction

from audit.actions import ACTIONS
from audit.actors import Actor

# In SQL, because every act waits for it: the trigger gives the number, the time and both hashes.
APPEND = """
    INSERT INTO audit_auditevent (chain, seq, action, actor_kind, actor_id, actor_label, subject, body)
    VALUES (%s, 0, %s, %s, %s, %s, %s, %s)
"""


def subject_of(on: models.Model) -> str:
    """Return the name under which the trail knows a thing, such as 'handoff:7d…'."""
    return f"{on._meta.model_name}:{on.pk}"


def record(
    action: str,
    *,
    actor: Actor,
    on: models.Model | str,
    chain: str,
    data: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Append one event to a chain. The database numbers it, stamps the time and links the hash.

    `on` is what was acted upon; `chain` names the governed thing whose story it belongs to ('handoff:<id>',
    'model:<id>', 'environment:<id>' or 'site'). Raises KeyError for an action that is not registered, and
    TransactionManagementError outside a transaction.
    """
    if action not in ACTIONS:
        raise KeyError(f"{action} is not a registered action.")
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("An event is recorded in the transaction of its act.")
    subject = on if isinstance(on, str) else subject_of(on)
    body: dict[str, Any] = {
        "chain": chain,
        "action": action,
        "actor": {"kind": actor.kind, "id": actor.user_id, "label": actor.mark, "via": actor.via},
        "subject": subject,
        "reason": reason,
        "data": dict(data or {}),
    }
    with transaction.get_connection().cursor() as cursor:
        cursor.execute(
            APPEND,
            [chain, action, actor.kind, actor.user_id, actor.mark, subject, rfc8785.dumps(body).decode()],
        )
