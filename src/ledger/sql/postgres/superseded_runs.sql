-- A trial of somebody else's may be under way: only one that is long silent is given up.
SELECT run_id FROM runs
WHERE job = $1 AND logical_date = $2 AND trial = ($3 <> 0) AND parent_run_id IS NULL
  AND state IN ('planning', 'running', 'failed')
  AND (NOT trial OR (created_at < clock_timestamp() - interval '1 hour' AND NOT EXISTS (
      SELECT 1 FROM run_attempts
      WHERE run_attempts.run_id = runs.run_id AND ended_at IS NULL AND alive_until > clock_timestamp())))
