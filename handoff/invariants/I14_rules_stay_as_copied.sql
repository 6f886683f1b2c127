-- An offered handoff has the policy that it names: of one policy the published content under its digest, of several the
-- digests of published revisions.
-- guard: handoff.services.handoffs.offer
-- net: handoff.Handoff:policy_is_fixed, handoff.PolicyRevision:immutable
-- attack: test_the_database_lets_no_policy_change_without_an_adoption
SELECT h.id::text, 'handoff:' || h.id, 'its policy is not the revision that it names'
  FROM handoff_handoff h JOIN handoff_policyrevision r ON r.id = h.policy_revision_id
 WHERE NOT h.policy ? 'union_of' AND (h.policy <> r.content OR h.policy_digest <> r.digest)
 UNION ALL
SELECT h.id::text, 'handoff:' || h.id, 'it names the revision ' || (one ->> 'revision') || ' of ' || (one ->> 'policy') || ', which is another'
  FROM handoff_handoff h CROSS JOIN LATERAL jsonb_array_elements(h.policy -> 'union_of') one
 WHERE NOT EXISTS (SELECT FROM handoff_policyrevision r JOIN handoff_policy p ON p.id = r.policy_id
                    WHERE p.slug = one ->> 'policy' AND r.number = (one ->> 'revision')::int
                      AND r.digest = one ->> 'digest')
