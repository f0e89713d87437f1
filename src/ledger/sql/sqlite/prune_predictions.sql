DELETE FROM predictions
WHERE run_id = ?1
  AND record_id IN (SELECT record_id FROM predictions WHERE run_id = ?1 ORDER BY record_id LIMIT ?2)
