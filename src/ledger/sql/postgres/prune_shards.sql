DELETE FROM shards
WHERE run_id = $1
  AND shard_no IN (SELECT shard_no FROM shards WHERE run_id = $1 ORDER BY shard_no LIMIT $2)
