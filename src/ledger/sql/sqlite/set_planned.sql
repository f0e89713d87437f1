UPDATE runs SET planned = ?2, shard_size = ?3 WHERE run_id = ?1
