UPDATE run_attempts SET alive_until = clock_timestamp() + make_interval(secs => $2)
WHERE attempt_id = $1 AND ended_at IS NULL
