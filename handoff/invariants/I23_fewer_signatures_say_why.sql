-- What went live without a signature that its policy needs at every risk tier came by break-glass, or has its row of a
-- standard change or a retrain. Such a row is of a kind that the policy knows, with no more in a row than it allows,
-- a retrain by the pipeline of what was live; and the open confirm gate was judged on this version, against what the
-- row is compared with and counted from.
-- guard: handoff.classifying.keep_kind
-- net: handoff.StandardChange:over_what_is_live, handoff.StandardChange:kind_of_its_policy, handoff.StandardChange:append_only, handoff.SignOff:only_voiding
-- attack: test_the_database_keeps_the_row_true, test_the_invariant_finds_a_row_that_is_gone_or_untrue, test_the_worker_refuses_what_is_no_retrain_any_more
SELECT h.id::text, 'deployment:' || d.id, 'nobody signed ' || (r ->> 'key') || ', and no record says why none was needed'
  FROM handoff_deployment d
  JOIN handoff_handoff h ON h.id = d.handoff_id
 CROSS JOIN LATERAL jsonb_each(h.policy -> 'gates') gate
 CROSS JOIN LATERAL jsonb_array_elements(COALESCE(gate.value -> 'signoffs', '[]')) r
 WHERE d.live_at IS NOT NULL AND d.rollback_of_id IS NULL
   AND NOT COALESCE((r ->> 'advisory')::boolean, false) AND COALESCE(r ->> 'required_above', '') = ''
   AND NOT EXISTS (SELECT FROM handoff_signoff s
                    WHERE s.handoff_id = h.id AND s.requirement = r ->> 'key' AND s.decision IN ('approve', 'conditional')
                      AND s.signed_at <= d.live_at AND (s.voided_at IS NULL OR s.voided_at > d.live_at))
   AND NOT EXISTS (SELECT FROM handoff_standardchange c WHERE c.deployment_id = d.id)
   AND NOT EXISTS (SELECT FROM handoff_breakglass b WHERE b.handoff_id = h.id AND b.confirmed_at <= d.live_at)
UNION ALL
SELECT h.id::text, 'standardchange:' || c.id, 'it is no ' || c.kind || ' change by its policy, or not as it was judged'
  FROM handoff_standardchange c
  JOIN handoff_deployment d ON d.id = c.deployment_id
  JOIN handoff_handoff h ON h.id = c.handoff_id
  JOIN models_registry_modelversion v ON v.id = h.version_id
  JOIN handoff_deployment l ON l.id = c.compared_with_id
  LEFT JOIN models_registry_element a ON a.version_id = l.version_id AND a.name = 'training'
  LEFT JOIN models_registry_element b ON b.version_id = v.id AND b.name = 'training'
 CROSS JOIN LATERAL (SELECT h.policy -> CASE c.kind WHEN 'standard' THEN 'standard_change' ELSE c.kind END AS kind) rules
  LEFT JOIN LATERAL (SELECT g.facts FROM handoff_decision g
                      WHERE g.handoff_id = h.id AND g.gate = 'confirm' AND g.opened AND g.decided_at <= c.kept_at
                      ORDER BY g.decided_at DESC LIMIT 1) g ON true
 WHERE rules.kind IS NULL OR jsonb_typeof(rules.kind) <> 'object'
    OR c.number > COALESCE((rules.kind ->> 'at_most')::int, 3)
    OR c.kind = 'retrain' AND (a.text::jsonb ->> 'pipeline') IS DISTINCT FROM (b.text::jsonb ->> 'pipeline')
    OR c.kind = 'retrain' AND b.text IS NULL
    OR d.handoff_id <> h.id OR d.digest <> v.digest OR g.facts ->> 'version' IS DISTINCT FROM v.digest
    OR g.facts #>> '{change,live,deployment}' IS DISTINCT FROM c.compared_with_id::text
    OR g.facts #>> '{change,reviewed,deployment}' IS DISTINCT FROM c.reviewed_id::text
    OR (g.facts #>> '{change,number}')::int + 1 IS DISTINCT FROM c.number
