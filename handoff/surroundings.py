"""What the comparison of a handoff with its target depends on, so that only those are compared where it changed.

A site with ten thousand versions live would else compare each of them every minute. A digest is taken of everything
that the comparison reads: both environments with their owners, streams, consumers and exceptions, the handoff's own
trail, on which its amendments and findings are, its state, and the model's risk tier. A new day changes only where an
exception ended with the one before.
"""

from collections.abc import Iterator
from uuid import UUID

from django.db import connection
from django.utils import timezone

from handoff.states import UNDER_OFFER, State

WATCHED = """
WITH places AS MATERIALIZED (
  SELECT e.id, md5(jsonb_build_array(
      to_jsonb(e) - ARRAY['probed_at', 'probe_error'],
      (SELECT o.name FROM models_registry_organisation o WHERE o.id = e.organisation_id),
      (SELECT jsonb_build_array(u.id, u.is_active, u.first_name, u.last_name, u.username)
         FROM audit_account u WHERE u.id = e.owner_id),
      (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.id) FROM models_registry_stream s
        WHERE s.environment_id = e.id AND s.retired_at IS NULL),
      (SELECT jsonb_agg(to_jsonb(c) || jsonb_build_object('person',
                jsonb_build_array(u.id, u.is_active, u.first_name, u.last_name, u.username)) ORDER BY c.id)
         FROM models_registry_consumer c JOIN models_registry_stream s ON s.id = c.stream_id
         JOIN audit_account u ON u.id = c.owner_id
        WHERE s.environment_id = e.id AND c.retired_at IS NULL),
      (SELECT jsonb_agg(to_jsonb(x) || jsonb_build_object('over', x.until < %(today)s) ORDER BY x.id)
         FROM models_registry_importexception x WHERE x.environment_id = e.id))::text) AS digest
    FROM models_registry_environment e)
SELECT h.id, concat_ws(' ', h.state, m.risk_tier, source.digest, target.digest,
       (SELECT e.seq FROM audit_auditevent e WHERE e.chain = 'handoff:' || h.id ORDER BY e.seq DESC LIMIT 1))
  FROM handoff_handoff h JOIN models_registry_registeredmodel m ON m.id = h.model_id
  JOIN places source ON source.id = h.source_id JOIN places target ON target.id = h.target_id
 WHERE h.state = ANY(%(states)s) ORDER BY h.id
"""
STATES = [str(state) for state in (*UNDER_OFFER, State.LIVE)]
ANYWAY = 60  # looks after which one is compared even where nothing changed

_compared: dict[UUID, str] = {}  # by this process; one that starts compares everything once


def changed() -> Iterator[UUID]:
    """Give the handoffs that are under offer or live and whose surroundings are not what they were last compared with.

    Each counts as compared once the next one is asked for: an error between leaves it to be compared again. One in
    sixty is given whatever its digest says, in turn, so that each comes up about once an hour.
    """
    now = timezone.localtime()
    turn = int(now.timestamp()) // 60 % ANYWAY
    with connection.cursor() as cursor:
        cursor.execute(WATCHED, {"states": STATES, "today": now.date()})
        watched = dict(cursor.fetchall())
    for key in _compared.keys() - watched.keys():
        _compared.pop(key, None)
    for key, digest in watched.items():
        if _compared.get(key) != digest or key.int % ANYWAY == turn:
            yield key
            _compared[key] = digest
