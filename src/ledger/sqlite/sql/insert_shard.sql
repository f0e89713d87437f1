INSERT INTO shards (run_id, shard_no, first_ordinal, records, duplicates) VALUES (?1, ?2, ?3, ?4, ?5)
