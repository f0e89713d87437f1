SELECT attempt_id FROM run_attempts WHERE run_id = $1 AND owner = $2 AND ended_at IS NULL
