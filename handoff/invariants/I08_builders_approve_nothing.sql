-- Nobody who created, nominated, drafted, offered or answered in a chain that is under way or live has a sign-off that
-- counts in it, themselves or through a service account, another account or a delegate; and no service account has one.
-- guard: handoff.rules.duties.conflicts
-- net: handoff.SignOff:unbarred
-- attack: test_whoever_acted_in_a_chain_is_taken_for_no_signer
WITH acted AS (
    SELECT h.id AS handoff_id, unnest(ARRAY[h.drafted_by_id, h.offered_by_id, v.created_by_id, v.nominated_by_id]) AS id
      FROM handoff_handoff h JOIN models_registry_modelversion v ON v.id = h.version_id
     UNION
    SELECT h.id, e.set_by_id FROM models_registry_element e JOIN handoff_handoff h ON h.version_id = e.version_id
     UNION
    SELECT handoff_id, answered_by_id FROM handoff_answer
), people AS (
    SELECT acted.handoff_id, COALESCE(r.same_person_id, r.id, o.same_person_id, o.id) AS person
      FROM acted JOIN audit_account o ON o.id = acted.id LEFT JOIN audit_account r ON r.id = o.responsible_id
)
SELECT s.handoff_id::text, 'signoff:' || s.id,
       audit_spoken(s.printed_name, s.signer_id, s.behalf_of_id) || ' acted in the chain, or is no person, and signs'
  FROM handoff_signoff s
  JOIN handoff_handoff h ON h.id = s.handoff_id AND h.state = ANY (%(going)s)
  JOIN audit_account n ON n.id IN (s.signer_id, s.behalf_of_id)
 WHERE s.voided_at IS NULL
   AND (n.kind <> 'person'
        OR EXISTS (SELECT FROM people p
                    WHERE p.handoff_id = s.handoff_id AND p.person = COALESCE(n.same_person_id, n.id)))
