-- A job that runs has a lease that did not run out long ago; a promotion test that is done has exactly one result, of
-- the job's newest number, and no other job has one.
-- guard: handoff.leases.hold
-- net: handoff.Job:legal_moves, handoff.Job:attempts_only_rise, job_running_has_a_lease, job_ended_has_a_time, test_result_once_a_kind
-- attack: test_a_worker_that_is_paused_past_its_lease_writes_nothing
SELECT handoff_id::text, 'job:' || id, 'it is said to run, and its lease ran out at ' || lease_until
  FROM handoff_job WHERE state = 'running' AND lease_until < statement_timestamp() - interval '5 minutes'
 UNION ALL
SELECT j.handoff_id::text, 'job:' || j.id, 'it is ' || j.state || ', and its result is ' || COALESCE('of number ' || t.fence, 'missing')
  FROM handoff_job j LEFT JOIN handoff_promotiontest t ON t.job_id = j.id
 WHERE j.task = 'handoff.run_test' AND (j.state = 'done') <> (t.id IS NOT NULL)
    OR t.id IS NOT NULL AND (t.fence <> j.fence OR t.handoff_id <> j.handoff_id)
