UPDATE run_attempts SET ended_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), exit_code = ?2
WHERE attempt_id = ?1 AND ended_at IS NULL
