SELECT host, pid, version, started_at, ended_at, exit_code FROM run_attempts
WHERE run_id = ?1 ORDER BY attempt_id
