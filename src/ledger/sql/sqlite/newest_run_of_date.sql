SELECT coalesce(max(run_id), 0) AS run_id FROM runs
WHERE job = ?1 AND logical_date = ?2 AND trial = 0 AND parent_run_id IS NULL
