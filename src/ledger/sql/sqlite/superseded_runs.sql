SELECT run_id FROM runs
WHERE job = ?1 AND logical_date = ?2 AND trial = ?3 AND parent_run_id IS NULL
  AND state IN ('planning', 'running', 'failed')
