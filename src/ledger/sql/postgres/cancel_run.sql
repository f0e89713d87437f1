UPDATE runs SET state = 'cancelled', completed_at = clock_timestamp()
WHERE run_id = $1 AND state IN ('planning', 'running', 'failed')
