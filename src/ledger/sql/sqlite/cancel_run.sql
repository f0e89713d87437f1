UPDATE runs SET state = 'cancelled', completed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE run_id = ?1 AND state IN ('planning', 'running', 'failed')
