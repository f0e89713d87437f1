UPDATE runs
SET state = 'completed', publication = ?2, predicted = ?3, dead_letters = ?4, duplicates = ?5,
    filtered = ?6, exit_code = ?7, completed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE run_id = ?1 AND state = 'running'
  AND NOT EXISTS (SELECT 1 FROM shards WHERE run_id = ?1 AND state <> 'completed')
