SELECT shard_no, stats FROM shards WHERE run_id = $1 AND stats IS NOT NULL ORDER BY shard_no
