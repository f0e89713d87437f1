SELECT profile FROM shards WHERE run_id = $1 AND profile IS NOT NULL ORDER BY shard_no
