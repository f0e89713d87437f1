SELECT DISTINCT logical_date FROM runs
WHERE job = ?1 AND trial = 0 AND backfill = 0 AND parent_run_id IS NULL AND state IN ('planning', 'running')
ORDER BY logical_date
