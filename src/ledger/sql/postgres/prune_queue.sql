-- The rows of prunable_in_queue, some at a time.
DELETE FROM queue WHERE queue_id IN (
    SELECT queue.queue_id FROM queue JOIN runs ON runs.run_id = queue.run_id
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
    LIMIT $3)
