UPDATE shards
SET predicted = predicted - $4, dead_letters = dead_letters - $5, erased = erased + $4 + $5,
    pruned_dead_letters = pruned_dead_letters + $6, pruned_duplicates = pruned_duplicates + $7,
    output_hash = $3
WHERE run_id = $1 AND shard_no = $2
