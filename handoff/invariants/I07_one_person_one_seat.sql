-- At a gate of a handoff that is under way or live, a natural person has at most one sign-off that counts, whichever
-- account and for whomever.
-- guard: handoff.rules.seats.counts
-- net: signoff_one_per_person_and_gate, signoff_one_per_delegator_and_gate, handoff.SignOff:distinct_persons
-- attack: test_two_accounts_of_one_person_are_not_two_signatures
SELECT handoff_id::text, 'handoff:' || handoff_id, count(*) || ' sign-offs of one person count at the ' || gate || ' gate'
  FROM (SELECT s.handoff_id, s.gate, s.id, COALESCE(a.same_person_id, a.id) AS person
          FROM handoff_signoff s JOIN audit_account a ON a.id IN (s.signer_id, s.behalf_of_id)
          JOIN handoff_handoff h ON h.id = s.handoff_id
         WHERE s.voided_at IS NULL AND h.state = ANY (%(going)s)) seats
 GROUP BY handoff_id, gate, person HAVING count(*) > 1
