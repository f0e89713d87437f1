UPDATE runs
SET state = 'failed', publication = 'withheld', exit_code = $2, completed_at = clock_timestamp()
WHERE run_id = $1 AND state = 'running'
