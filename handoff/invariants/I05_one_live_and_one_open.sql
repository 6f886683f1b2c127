-- At most one deployment of a model is live in a slot of an environment, and at most one handoff of a version to an
-- environment is open.
-- guard: handoff.going_live.go_live
-- net: deployment_one_live, deployment_one_under_way, handoff_one_open_per_version_and_target
-- attack: test_the_database_refuses_to_break_it
SELECT min(handoff_id::text), 'environment:' || environment_id, count(*) || ' deployments of one model are live at once'
  FROM handoff_deployment WHERE state = 'live' GROUP BY model_id, environment_id, slot HAVING count(*) > 1
 UNION ALL
SELECT min(id::text), 'version:' || version_id, count(*) || ' handoffs of it to one environment are open at once'
  FROM handoff_handoff WHERE state = ANY (%(open)s) GROUP BY version_id, target_id HAVING count(*) > 1
