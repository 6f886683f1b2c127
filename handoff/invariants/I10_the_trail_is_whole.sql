-- In each chain of the trail the numbers have no gap, each event names the hash of the one before it, and each hash is
-- that of its event.
-- guard: audit.trail.record
-- net: audit.AuditEvent:chain, audit.AuditEvent:append_only, event_one_per_place_in_chain
-- attack: test_tampering_inside_a_chain_is_found, test_parallel_writers_fork_no_chain
SELECT '', chain, 'event ' || seq || ' is not what was hashed, or does not join on the one before it'
  FROM (SELECT chain, seq, previous, hash, at, body,
               lag(seq, 1, 0) OVER chained AS seq_before,
               lag(hash, 1, sha256(convert_to(chain, 'UTF8'))) OVER chained AS hash_before
          FROM audit_auditevent WINDOW chained AS (PARTITION BY chain ORDER BY seq)) e
 WHERE seq <> seq_before + 1 OR previous <> hash_before
    OR hash <> sha256(previous || int8send(seq) || int8send((extract(epoch FROM at) * 1000000)::bigint)
                      || convert_to(body, 'UTF8'))
