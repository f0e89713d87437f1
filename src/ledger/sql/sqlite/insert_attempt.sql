INSERT INTO run_attempts (run_id, host, pid, version, owner, exclusive, chunk_rows, alive_until)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?8, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?7 || ' seconds'))
RETURNING attempt_id
