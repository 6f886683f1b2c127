-- Every sign-off has exactly one event that tells of its statement, and every one that ended exactly one that says so.
-- guard: audit.trail.record
-- net: audit.AuditEvent:append_only, handoff.SignOff:kept
-- attack: test_a_signature_never_changes_in_the_database
WITH told AS (
    SELECT subject, count(*) FILTER (WHERE action IN
               ('signoff.given', 'signoff.refused', 'signoff.changes_requested')) AS given,
           count(*) FILTER (WHERE action IN
               ('signoff.voided', 'signoff.withdrawn', 'signoff.expired', 'signoff.revoked')) AS ended
      FROM audit_auditevent WHERE subject LIKE 'signoff:%%' GROUP BY subject
)
SELECT s.handoff_id::text, 'signoff:' || s.id,
       'the trail tells ' || COALESCE(t.given, 0) || ' times that it was given, ' || COALESCE(t.ended, 0) || ' that it ended'
  FROM handoff_signoff s LEFT JOIN told t ON t.subject = 'signoff:' || s.id
 WHERE COALESCE(t.given, 0) <> 1 OR COALESCE(t.ended, 0) <> (s.voided_at IS NOT NULL)::int
