INSERT INTO run_attempts (run_id, host, pid, version) VALUES (?1, ?2, ?3, ?4) RETURNING attempt_id
