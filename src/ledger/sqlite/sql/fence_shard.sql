SELECT 1 FROM shards WHERE run_id = ?1 AND shard_no = ?2 AND epoch = ?3 AND state = 'leased'
