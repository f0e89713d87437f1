UPDATE queue SET run_id = $1 WHERE job = $2 AND run_id IS NULL RETURNING queue_id, priority
