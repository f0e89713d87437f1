SELECT * FROM runs WHERE job = $1 AND logical_date = $2 AND parent_run_id IS NULL ORDER BY generation
