SELECT ordinal, record_id FROM dead_letters WHERE run_id = ?1 AND record_id IN (SELECT value FROM json_each(?2))
