-- Of processes that seem to be alive, the time so far.
SELECT coalesce(sum(extract(epoch FROM coalesce(ended_at, clock_timestamp()) - started_at)), 0)::double precision AS seconds
FROM run_attempts
WHERE run_id = $1 AND owner IS DISTINCT FROM $2 AND (ended_at IS NOT NULL OR alive_until > clock_timestamp())
