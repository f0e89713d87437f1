SELECT run_id FROM runs WHERE parent_run_id = ?1 ORDER BY run_id
