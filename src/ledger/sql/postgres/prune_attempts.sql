DELETE FROM run_attempts WHERE run_id = $1
