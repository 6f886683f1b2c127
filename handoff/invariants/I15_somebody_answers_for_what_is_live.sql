-- For every model in an environment exactly one person answers while something of it is live, and nobody while nothing
-- is.
-- guard: handoff.going_live.go_live
-- net: owner_one_at_a_time, handoff.OwnerOfRecord:only_ended
-- attack: test_the_database_refuses_to_break_it
SELECT min(d.handoff_id::text), 'environment:' || d.environment_id, 'nobody, or more than one, answers for a model that is live'
  FROM handoff_deployment d
  LEFT JOIN handoff_ownerofrecord o
         ON o.model_id = d.model_id AND o.environment_id = d.environment_id AND upper_inf(o.period)
 WHERE d.state = 'live' GROUP BY d.model_id, d.environment_id, d.slot HAVING count(o.id) <> 1
 UNION ALL
SELECT '', 'owner:' || o.id, 'somebody answers for a model of which nothing is live'
  FROM handoff_ownerofrecord o
 WHERE upper_inf(o.period)
   AND NOT EXISTS (SELECT FROM handoff_deployment d
                    WHERE d.model_id = o.model_id AND d.environment_id = o.environment_id AND d.state = 'live')
