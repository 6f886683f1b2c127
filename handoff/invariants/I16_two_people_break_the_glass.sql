-- A break-glass that is in force was asked for by one natural person and confirmed by another, with a reason and a
-- deadline, and is not past that deadline. Where both turn out to be one person, it is on its way back.
-- guard: handoff.services.break_glass.confirm
-- net: handoff.BreakGlass:two_people, handoff.BreakGlass:legal_moves
-- attack: test_it_takes_two_people_and_the_role, test_the_database_refuses_what_no_service_does
SELECT b.handoff_id::text, 'breakglass:' || b.id, 'one person is behind both halves of it, or it is past its deadline'
  FROM handoff_breakglass b
  JOIN audit_account a ON a.id = b.asked_by_id
  LEFT JOIN audit_account c ON c.id = b.confirmed_by_id
 WHERE b.confirmed_at IS NOT NULL
   AND (b.reason = '' OR b.until IS NULL OR c.id IS NULL
        OR COALESCE(a.same_person_id, a.id) = COALESCE(c.same_person_id, c.id)
           AND (b.state = 'confirmed' OR b.state = 'overdue' AND NOT b.fallen)
        OR b.state = 'confirmed' AND b.until < statement_timestamp() - interval '10 minutes'
           AND EXISTS (SELECT FROM handoff_handoff h WHERE h.id = b.handoff_id AND h.state = 'live'))
