SELECT queue_id, priority FROM queue WHERE job = $1 AND run_id IS NULL
ORDER BY priority DESC, queue_id LIMIT $2
