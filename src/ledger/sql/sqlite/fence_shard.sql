SELECT shards.state, shards.epoch, runs.state AS run_state
FROM shards JOIN runs ON runs.run_id = shards.run_id
WHERE shards.run_id = ?1 AND shards.shard_no = ?2
