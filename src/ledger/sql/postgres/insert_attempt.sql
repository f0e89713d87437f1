INSERT INTO run_attempts (run_id, host, pid, version, owner, exclusive, chunk_rows, alive_until)
VALUES ($1, $2, $3, $4, $5, $6 <> 0, $8, clock_timestamp() + make_interval(secs => $7))
RETURNING attempt_id
