UPDATE run_attempts SET alive_until = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?2 || ' seconds')
WHERE attempt_id = ?1 AND ended_at IS NULL
