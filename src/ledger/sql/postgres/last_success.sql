SELECT max(completed_at) AS completed_at FROM runs
WHERE job = $1 AND publication = 'published' AND parent_run_id IS NULL AND NOT backfill
