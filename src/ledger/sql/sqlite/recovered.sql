SELECT count(DISTINCT record_id) AS records FROM predictions
WHERE run_id IN (SELECT run_id FROM runs WHERE parent_run_id = ?1 AND publication = 'published')
