INSERT INTO shards (run_id, shard_no, first_ordinal, records, duplicates, input)
SELECT ?1, shard_no, first_ordinal, records, duplicates, input FROM shards WHERE run_id = ?2
