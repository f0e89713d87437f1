UPDATE queue SET run_id = NULL
WHERE run_id = ?1 AND NOT EXISTS (
    SELECT 1 FROM queue AS newer
    WHERE newer.job = queue.job AND newer.record_id = queue.record_id AND newer.run_id IS NULL)
