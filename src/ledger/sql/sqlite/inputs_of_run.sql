SELECT shard_no, state, input FROM shards WHERE run_id = ?1 AND input IS NOT NULL ORDER BY shard_no
