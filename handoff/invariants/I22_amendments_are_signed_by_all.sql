-- An amendment that is applied, or being applied, was approved for each of its requirements.
-- guard: handoff.services.amendments.sign
-- net: handoff.AmendmentSignOff:distinct_persons, amendment_signoff_one_per_requirement, amendment_applied_by_a_job
-- attack: test_two_who_turn_out_to_be_one_person_apply_nothing, test_a_second_account_is_no_second_person
SELECT d.handoff_id::text, 'amendment:' || a.id, 'it was applied, and not everybody whom it needs has approved it'
  FROM handoff_amendment a JOIN handoff_deployment d ON d.id = a.deployment_id
 WHERE a.state IN ('applying', 'applied')
   AND (SELECT count(DISTINCT s.requirement)
          FROM handoff_amendmentsignoff s
         WHERE s.amendment_id = a.id AND s.decision = 'approve'
           AND s.requirement IN (SELECT one ->> 'key' FROM jsonb_array_elements(a.requirements) one))
       < jsonb_array_length(a.requirements)
