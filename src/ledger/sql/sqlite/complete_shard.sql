UPDATE shards
SET state = 'completed', owner = NULL, lease_until = NULL, predicted = ?4, dead_letters = ?5,
    filtered = ?6, output_hash = ?7, stats = ?8, profile = ?9,
    completed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE run_id = ?1 AND shard_no = ?2 AND epoch = ?3
