UPDATE shards SET profile = NULL
WHERE run_id = $1
  AND shard_no IN (
      SELECT shard_no FROM shards
      WHERE run_id = $1 AND profile IS NOT NULL ORDER BY shard_no LIMIT $2)
