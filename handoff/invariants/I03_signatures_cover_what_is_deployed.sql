-- Every sign-off by which a gate opened stood at that moment, and covers the version's own digest, this handoff, and
-- its source and target.
-- guard: handoff.rules.seats.signatures
-- net: handoff.SignOff:only_voiding, handoff.Decision:append_only
-- attack: test_a_signature_holds_for_exactly_what_it_covers
SELECT g.handoff_id::text, 'signoff:' || (s ->> 'id'), 'it did not stand for what the ' || g.gate || ' gate opened for'
  FROM handoff_decision g
  JOIN handoff_handoff h ON h.id = g.handoff_id
  JOIN models_registry_modelversion v ON v.id = h.version_id
 CROSS JOIN LATERAL jsonb_array_elements(g.facts -> 'signoffs') s
  LEFT JOIN handoff_signoff o ON o.id::text = s ->> 'id'
 WHERE g.opened AND s ->> 'gate' = g.gate AND s ->> 'decision' IN ('approve', 'conditional')
   AND EXISTS (SELECT FROM jsonb_array_elements(g.result -> 'requirements') r
                WHERE r ->> 'kind' = 'signoff' AND r ->> 'key' = s ->> 'requirement' AND (r ->> 'met')::boolean)
   AND (o.id IS NULL OR o.handoff_id <> h.id OR o.signed_at > g.decided_at OR o.voided_at <= g.decided_at
        OR o.scope ->> 'version' <> v.digest OR o.scope ->> 'handoff' <> h.id::text
        OR o.scope ->> 'source' <> h.source_id::text OR o.scope ->> 'target' <> h.target_id::text
        OR g.facts ->> 'version' <> v.digest)
