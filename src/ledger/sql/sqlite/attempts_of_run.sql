SELECT host, pid, version, started_at, ended_at, exit_code, owner, chunk_rows,
       ended_at IS NULL AND alive_until > strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS seems_alive
FROM run_attempts WHERE run_id = ?1 ORDER BY attempt_id
