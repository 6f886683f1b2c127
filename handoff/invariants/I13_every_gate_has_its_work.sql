-- A handoff that is testing has one job for each test that its policy asks for, one that is deploying has
-- work under way, and nothing waits for a handoff that was withdrawn or has expired.
-- guard: handoff.queue.enqueue
-- net: job_once_per_gate_and_purpose
-- attack: test_two_people_who_sign_last_at_the_same_instant_open_the_gate_once
SELECT h.id::text, 'handoff:' || h.id, 'it is testing, and has no job for the test ' || kind
  FROM handoff_handoff h CROSS JOIN LATERAL jsonb_array_elements_text(h.policy -> 'tests') kind
 WHERE h.state = 'testing'
   AND NOT EXISTS (SELECT FROM handoff_job j WHERE j.handoff_id = h.id AND j.purpose = 'test:' || kind)
 UNION ALL
SELECT h.id::text, 'handoff:' || h.id, 'it is deploying, and nothing is under way'
  FROM handoff_handoff h
 WHERE h.state = 'deploying'
   AND NOT EXISTS (SELECT FROM handoff_job j
                    WHERE j.handoff_id = h.id AND j.gate = 'release' AND j.state IN ('queued', 'running'))
 UNION ALL
SELECT h.id::text, 'job:' || j.id, 'it waits for a handoff that is ' || h.state
  FROM handoff_handoff h JOIN handoff_job j ON j.handoff_id = h.id
 WHERE h.state IN ('withdrawn', 'expired') AND j.state = 'queued'
