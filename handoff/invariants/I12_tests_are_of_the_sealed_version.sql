-- Every promotion test was of the version's own digest, and ended after that version was sealed.
-- guard: handoff.services.promotion_tests.finish
-- net: handoff.PromotionTest:append_only
-- attack: test_the_database_refuses_to_break_it
SELECT h.id::text, 'test:' || t.id, 'it is of another version, or older than the seal'
  FROM handoff_promotiontest t JOIN handoff_handoff h ON h.id = t.handoff_id
  JOIN models_registry_modelversion v ON v.id = h.version_id
 WHERE t.version_digest <> v.digest OR v.nominated_at IS NULL OR t.finished_at < v.nominated_at
