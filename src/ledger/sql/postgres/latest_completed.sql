SELECT * FROM runs
WHERE job = $1 AND state = 'completed' AND pruned_at IS NULL AND NOT trial AND parent_run_id IS NULL
ORDER BY run_id DESC LIMIT 1
