-- The manifest of a nominated version hashes to its digest, and names exactly the elements that the version has.
-- guard: models_registry.services.versions.set_element
-- net: models_registry.ModelVersion:sealed, models_registry.Element:only_in_a_draft, version_nominated_is_sealed
-- attack: test_the_database_refuses, test_a_flipped_byte_in_the_store_is_noticed
SELECT '', 'version:' || v.id, 'its manifest or its elements are not what was sealed'
  FROM models_registry_modelversion v
 WHERE v.state = 'nominated'
   AND (encode(sha256(convert_to(v.manifest, 'UTF8')), 'hex') <> v.digest
        OR (SELECT jsonb_object_agg(e.name, e.blob_id) FROM models_registry_element e WHERE e.version_id = v.id)
           IS DISTINCT FROM
           (SELECT jsonb_object_agg(m ->> 'name', m ->> 'sha256')
              FROM jsonb_array_elements(v.manifest::jsonb -> 'elements') m))
