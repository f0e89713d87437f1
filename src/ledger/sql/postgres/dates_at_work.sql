-- Dates that living processes work on.
SELECT DISTINCT runs.logical_date FROM runs
JOIN run_attempts ON run_attempts.run_id = runs.run_id
WHERE runs.job = $1 AND runs.state IN ('planning', 'running') AND NOT runs.trial
  AND run_attempts.ended_at IS NULL AND run_attempts.alive_until > clock_timestamp()
