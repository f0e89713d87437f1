UPDATE shards SET state = 'available', owner = NULL, lease_until = NULL
WHERE run_id = ?1 AND state = 'leased' AND (?2 IS NULL OR owner = ?2)
