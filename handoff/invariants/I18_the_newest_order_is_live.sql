-- What is live has a higher number than everything that it took the place of, so that no late order revives the past.
-- guard: handoff.leases.next_order
-- net: deployment_order_once, handoff.Deployment:order_only_rises
-- attack: test_orders_at_the_same_time_end_with_the_highest
SELECT d.handoff_id::text, 'deployment:' || d.id, 'it is live, and order ' || o.order || ', which it took the place of, is higher'
  FROM handoff_deployment d
  JOIN handoff_deployment o ON o.model_id = d.model_id AND o.environment_id = d.environment_id AND o.slot = d.slot
                           AND o.state IN ('superseded', 'retired') AND o.order > d.order
 WHERE d.state = 'live'
