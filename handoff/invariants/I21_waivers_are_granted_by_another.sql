-- A waiver that counts was asked for by one natural person, approved by another, and has a reason, a control and an end.
-- guard: handoff.services.waivers.answer
-- net: handoff.Waiver:two_people, handoff.Waiver:unbarred
-- attack: test_the_database_wants_two_people_for_a_waiver, test_the_database_refuses_to_bend_a_waiver
SELECT w.handoff_id::text, 'waiver:' || w.id, 'whoever asked for it approved it, or it says not why'
  FROM handoff_waiver w
  JOIN audit_account a ON a.id = w.asked_by_id LEFT JOIN audit_account r ON r.id = a.responsible_id
  LEFT JOIN audit_account n ON n.id = w.answered_by_id
 WHERE w.answer = 'approved' AND w.revoked_at IS NULL
   AND (n.id IS NULL OR n.kind <> 'person' OR w.reason = '' OR w.control = ''
        OR COALESCE(r.same_person_id, r.id, a.same_person_id, a.id) = COALESCE(n.same_person_id, n.id))
