-- Every signed statement hashes to its digest, and has a signature where it has a key.
-- guard: handoff.statements.signed_columns
-- net: handoff.SignOff:only_voiding, handoff.SignOff:signed_by_a_key, handoff.AmendmentSignOff:append_only, handoff.Adoption:append_only
-- attack: test_a_signature_is_proven_by_its_envelope_and_the_public_key_alone
SELECT handoff, subject, 'its statement is not what its digest says, or nobody signed it'
  FROM (SELECT handoff_id::text AS handoff, 'signoff:' || id AS subject, statement, statement_digest,
               key_id IS NULL AND signature <> '' AS unsigned FROM handoff_signoff
         UNION ALL
        SELECT '', 'amendmentsignoff:' || id, statement, statement_digest, signature = '' FROM handoff_amendmentsignoff
         UNION ALL
        SELECT handoff_id::text, 'adoption:' || id, statement, statement_digest, signature = '' FROM handoff_adoption
         UNION ALL
        SELECT handoff_id::text, 'breakglass:' || id, statement, statement_digest, signature = ''
          FROM handoff_breakglass WHERE confirmed_at IS NOT NULL) signed
 WHERE unsigned OR encode(sha256(convert_to(statement, 'UTF8')), 'hex') <> statement_digest
