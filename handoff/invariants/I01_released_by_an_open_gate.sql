-- Every deployment that is no rollback was ordered after a decision that its release gate is open.
-- guard: handoff.decisions.decide
-- net: handoff.Decision:append_only, handoff.Deployment:order_is_fixed
-- attack: test_the_worker_refuses_the_release_once_an_owner_has_taken_their_agreement_back, test_the_database_refuses_to_break_it
SELECT d.handoff_id::text, 'deployment:' || d.id, 'no open release gate is on record before it was ordered'
  FROM handoff_deployment d
 WHERE d.rollback_of_id IS NULL
   AND NOT EXISTS (SELECT FROM handoff_decision g
                    WHERE g.handoff_id = d.handoff_id AND g.gate = 'release' AND g.opened
                      AND g.decided_at <= d.ordered_at)
