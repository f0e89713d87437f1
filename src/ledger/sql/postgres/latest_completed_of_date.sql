SELECT run_id, planned, shard_size FROM runs
WHERE job = $1 AND logical_date = $2 AND NOT trial AND parent_run_id IS NULL AND state = 'completed' AND pruned_at IS NULL
ORDER BY generation DESC LIMIT 1
