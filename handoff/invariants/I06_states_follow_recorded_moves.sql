-- The state of a handoff is the last move that the trail tells of; each move began where the one before it ended, and
-- is on the list of legal moves.
-- guard: handoff.moves.move
-- net: handoff.Handoff:legal_moves, audit.AuditEvent:append_only
-- attack: test_no_state_is_reached_by_a_move_that_is_not_listed
WITH told AS (
    SELECT chain, seq, body::jsonb #>> '{data,from}' AS came, body::jsonb #>> '{data,to}' AS went,
           lag(body::jsonb #>> '{data,to}', 1, 'draft') OVER (PARTITION BY chain ORDER BY seq) AS before
      FROM audit_auditevent WHERE action = 'handoff.moved'
), last AS (
    SELECT DISTINCT ON (chain) chain, went FROM told ORDER BY chain, seq DESC
)
SELECT h.id::text, 'handoff:' || h.id, 'it is ' || h.state || ', and the trail says ' || COALESCE(last.went, 'draft')
  FROM handoff_handoff h LEFT JOIN last ON last.chain = 'handoff:' || h.id
 WHERE COALESCE(last.went, 'draft') <> h.state
 UNION ALL
SELECT substr(chain, 9), chain, 'it moved from ' || came || ' to ' || went || ' when it was ' || before
  FROM told WHERE came <> before OR came || '>' || went <> ALL (%(moves)s)
