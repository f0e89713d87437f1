UPDATE runs SET state = 'cancelled', completed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE job = ?1 AND logical_date = ?2 AND trial = ?3 AND parent_run_id IS NULL
  AND state IN ('planning', 'running')
