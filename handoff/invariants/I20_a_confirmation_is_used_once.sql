-- Every signature used up one confirmation of its own signer's identity, which was given to nobody else and not used
-- after its time.
-- guard: handoff.confirmations.use_up
-- net: handoff.Reauthentication:used_once, handoff.Reauthentication:only_used
-- attack: test_a_confirmation_is_good_once_for_its_person_and_for_minutes
SELECT '', signed.subject, 'the confirmation behind it is unused, too old, somebody else''s, or behind another act too'
  FROM (SELECT 'signoff:' || id AS subject, reauthentication_id AS proof, signer_id AS person FROM handoff_signoff
         UNION ALL
        SELECT 'amendmentsignoff:' || id, reauthentication_id, signer_id FROM handoff_amendmentsignoff
         UNION ALL
        SELECT 'adoption:' || id, reauthentication_id, adopted_by_id FROM handoff_adoption
         UNION ALL
        SELECT 'breakglass:' || id, reauthentication_id, confirmed_by_id FROM handoff_breakglass
         WHERE confirmed_at IS NOT NULL) signed
  LEFT JOIN handoff_reauthentication r ON r.id = signed.proof
 WHERE r.id IS NULL OR r.used_at IS NULL OR r.used_at > r.expires_at OR r.person_id <> signed.person
    OR signed.proof IN (SELECT proof FROM (
           SELECT reauthentication_id AS proof FROM handoff_signoff UNION ALL
           SELECT reauthentication_id FROM handoff_amendmentsignoff UNION ALL
           SELECT reauthentication_id FROM handoff_adoption UNION ALL
           SELECT reauthentication_id FROM handoff_breakglass WHERE reauthentication_id IS NOT NULL) uses
        GROUP BY proof HAVING count(*) > 1)
