UPDATE runs
SET state = 'running', publication = 'pending', exit_code = NULL, completed_at = NULL
WHERE run_id = $1 AND state = 'failed' AND pruned_at IS NULL
