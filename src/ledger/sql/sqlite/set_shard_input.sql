UPDATE shards SET input = ?3 WHERE run_id = ?1 AND shard_no = ?2
