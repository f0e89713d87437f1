-- Without those whose rows prunable_in_queue counts: they go first.
SELECT runs.run_id FROM runs
WHERE runs.job = $1 AND EXISTS (SELECT 1 FROM queue WHERE queue.run_id = runs.run_id) AND NOT (
  (runs.state = 'cancelled' OR runs.state = 'completed' AND EXISTS (
      SELECT 1 FROM publications
      WHERE publications.job = runs.job AND publications.logical_date = runs.logical_date))
  AND runs.completed_at <= clock_timestamp() - make_interval(secs => $2)
  AND NOT EXISTS (
      SELECT 1 FROM runs AS again
      WHERE again.job = runs.job AND again.logical_date = runs.logical_date
        AND (again.state IN ('planning', 'running')
             OR again.state = 'failed' AND again.parent_run_id IS NULL)))
