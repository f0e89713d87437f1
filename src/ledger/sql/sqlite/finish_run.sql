UPDATE runs
SET state = 'completed', publication = ?2, output_hash = ?3, exit_code = ?4,
    predicted = ?5, dead_letters = ?6, duplicates = ?7, filtered = ?8,
    completed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE run_id = ?1 AND state = 'running'
  AND NOT EXISTS (SELECT 1 FROM shards WHERE run_id = ?1 AND state <> 'completed')
