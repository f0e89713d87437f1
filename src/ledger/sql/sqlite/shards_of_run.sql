SELECT shard_no, first_ordinal, records, state, predicted, dead_letters, filtered, output_hash,
       pruned_dead_letters, pruned_duplicates, erased
FROM shards WHERE run_id = ?1 ORDER BY first_ordinal
