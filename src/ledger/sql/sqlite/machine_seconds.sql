-- There is one writer, so that no other process is alive.
SELECT coalesce(sum((julianday(ended_at) - julianday(started_at)) * 86400), 0.0) AS seconds
FROM run_attempts WHERE run_id = ?1 AND owner IS NOT ?2 AND ended_at IS NOT NULL
