SELECT queue.job,
       count(*) FILTER (WHERE queue.run_id IS NULL) AS pending,
       count(*) FILTER (WHERE runs.state IN ('planning', 'running', 'failed')) AS in_progress,
       count(*) FILTER (WHERE runs.state = 'completed') AS done,
       count(*) FILTER (WHERE runs.state = 'cancelled') AS replaced,
       min(queue.enqueued_at) FILTER (WHERE queue.run_id IS NULL) AS oldest_pending
FROM queue LEFT JOIN runs ON runs.run_id = queue.run_id
WHERE ?1 IS NULL OR queue.job = ?1
GROUP BY queue.job ORDER BY queue.job
