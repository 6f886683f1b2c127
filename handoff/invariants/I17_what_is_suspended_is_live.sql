-- Whatever is suspended is live on record, once, and the order of its lift is higher than that of its stop.
-- guard: handoff.services.suspensions.suspend
-- net: suspension_one_open, handoff.Suspension:of_what_is_live, handoff.Deployment:suspension_ends_first
-- attack: test_the_database_keeps_what_was_done
SELECT d.handoff_id::text, 'suspension:' || s.id, 'what it suspends is ' || d.state || ', or its lift came before its stop'
  FROM handoff_suspension s JOIN handoff_deployment d ON d.id = s.deployment_id
 WHERE s.ended_at IS NULL AND d.state <> 'live' OR s.lift_order <= s.order
