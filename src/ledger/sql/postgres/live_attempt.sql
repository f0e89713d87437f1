SELECT host, pid FROM run_attempts
WHERE run_id = $1 AND ended_at IS NULL AND owner <> $2 AND (exclusive OR $3 = 1)
  AND alive_until > clock_timestamp()
ORDER BY attempt_id LIMIT 1
