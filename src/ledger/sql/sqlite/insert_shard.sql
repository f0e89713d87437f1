INSERT INTO shards (run_id, shard_no, first_ordinal, records, duplicates, input)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
