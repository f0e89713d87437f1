UPDATE run_attempts SET ended_at = clock_timestamp(), exit_code = $2
WHERE attempt_id = $1 AND ended_at IS NULL
