UPDATE runs
SET state = 'failed', publication = 'withheld', exit_code = ?2, completed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE run_id = ?1 AND state = 'running'
