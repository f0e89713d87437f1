SELECT DISTINCT logical_date FROM runs
WHERE job = $1 AND NOT trial AND NOT backfill AND parent_run_id IS NULL AND state IN ('planning', 'running')
ORDER BY logical_date
