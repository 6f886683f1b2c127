-- The four statements of a sign-off as plain SQL: what PostgreSQL itself needs for them, triggers and all.
\set turn :turn + 1
BEGIN;
SELECT h.id AS handoff, t.validation AS proof, p.person_id AS signer,
       'name:' || encode(sha256(convert_to(a.name_salt || a.first_name || ' ' || a.last_name, 'UTF8')), 'hex') AS mark
  FROM bench_turn t JOIN handoff_handoff h ON h.id = t.handoff_id JOIN handoff_reauthentication p ON p.id = t.validation
  JOIN audit_account a ON a.id = p.person_id
 WHERE t.batch = :batch AND t.client = :client_id AND t.turn = :turn FOR UPDATE OF h \gset
UPDATE handoff_reauthentication SET used_at = clock_timestamp()
 WHERE id = :proof::uuid AND person_id = :signer::bigint AND used_at IS NULL AND expires_at > clock_timestamp();
INSERT INTO handoff_signoff (id, handoff_id, gate, requirement, role, signer_id, printed_name, decision, meaning, comment,
       scope, scope_digest, statement, statement_digest, key_id, signature, reauthentication_id, signed_at, voided_as,
       voided_because)
VALUES (gen_random_uuid(), :handoff::uuid, 'review', 'validation', 'validator', :signer::bigint, :mark, 'approve', 'review',
       'I have read it.', '{"seen": "it"}', repeat('0', 64), repeat('statement ', 150),
       encode(sha256(convert_to(:proof::text, 'UTF8')), 'hex'),
       (SELECT id FROM audit_signingkey WHERE retired_at IS NULL), repeat('s', 88), :proof::uuid, now(), '', '');
INSERT INTO audit_auditevent (chain, seq, at, action, actor_kind, actor_id, actor_label, subject, body, previous, hash)
VALUES ('handoff:' || :handoff::text, 0, now(), 'signoff.given', 'person', :signer::bigint, :mark, 'signoff:' || :proof::text,
       repeat('body ', 120), '', '');
COMMIT;
