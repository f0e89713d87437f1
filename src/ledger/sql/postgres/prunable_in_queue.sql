-- A run that failed is gone on with, and a date that nobody sees is scored again, from these rows.
SELECT count(*) AS records, min(runs.logical_date) AS first_date, max(runs.logical_date) AS last_date,
       count(DISTINCT runs.run_id) AS runs
FROM queue JOIN runs ON runs.run_id = queue.run_id
WHERE queue.job = $1
  AND (runs.state = 'cancelled' OR runs.state = 'completed' AND EXISTS (
      SELECT 1 FROM publications
      WHERE publications.job = runs.job AND publications.logical_date = runs.logical_date))
  AND runs.completed_at <= clock_timestamp() - make_interval(secs => $2)
  AND NOT EXISTS (
      SELECT 1 FROM runs AS again
      WHERE again.job = runs.job AND again.logical_date = runs.logical_date
        AND (again.state IN ('planning', 'running')
             OR again.state = 'failed' AND again.parent_run_id IS NULL))
