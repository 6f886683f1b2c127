-- No decision says open while something that the gate needs is missing, or while somebody refused.
-- guard: handoff.rules.gates.evaluate
-- net: handoff.Decision:append_only
-- attack: test_opening_is_monotone, test_a_refusal_shuts_a_gate_that_has_all_it_needs
SELECT g.handoff_id::text, 'decision:' || g.id, 'it says open, and ' || COALESCE(r ->> 'title', 'somebody refused')
  FROM handoff_decision g
  LEFT JOIN LATERAL jsonb_array_elements(g.result -> 'requirements') r
         ON (r ->> 'needed')::boolean AND NOT (r ->> 'met')::boolean
 WHERE g.opened AND (r IS NOT NULL OR (g.result ->> 'refused')::boolean)
