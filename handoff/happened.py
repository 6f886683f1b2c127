"""What happened to a version since it is live, read beside the other facts where the policy asks for re-attestation."""

# The words of the policy, each with its instant. Of a version that is live, from when it went live on.
HAPPENED = """
  CASE WHEN h.state = 'live' AND h.policy ? 'reattestation' THEN (
    SELECT json_agg(json_build_array(e.kind, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))
           ORDER BY e.at)
      FROM handoff_deployment d CROSS JOIN LATERAL (
        SELECT CASE f.kind WHEN 'drift' THEN 'drift' ELSE 'finding' END, f.raised_at
          FROM handoff_finding f WHERE f.handoff_id = h.id AND f.kind NOT IN ('approval', 'attest', 'waiver')
        UNION ALL
        SELECT 'suspension', s.suspended_at FROM handoff_suspension s WHERE s.deployment_id = d.id
        UNION ALL
        SELECT 'amendment', a.ended_at FROM handoff_amendment a WHERE a.deployment_id = d.id AND a.state = 'applied'
        UNION ALL
        SELECT 'owner', lower(o.period) FROM models_registry_environmentowner o WHERE o.environment_id = h.target_id
        UNION ALL
        SELECT 'risk', m.risk_tier_since FROM models_registry_registeredmodel m WHERE m.id = h.model_id
        UNION ALL
        SELECT 'policy', r.published_at FROM handoff_policyrevision r JOIN handoff_policy p ON p.id = r.policy_id
         WHERE p.slug = h.policy->>'policy'
            OR p.slug IN (SELECT u->>'policy' FROM jsonb_array_elements(h.policy->'union_of') u)
      ) e(kind, at)
     WHERE d.handoff_id = h.id AND d.state = 'live' AND e.at > d.live_at) END
"""
