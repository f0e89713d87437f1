SELECT * FROM runs WHERE job = $1 AND NOT trial AND parent_run_id IS NULL
-- A backfill only if there is nothing else.
ORDER BY backfill, run_id DESC LIMIT 1
