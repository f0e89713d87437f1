SELECT * FROM runs WHERE parent_run_id = ?1 AND state IN ('planning', 'running') ORDER BY run_id
