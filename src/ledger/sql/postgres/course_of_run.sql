SELECT shard.shard_no, shard.records,
       extract(epoch FROM shard.completed_at - run.created_at)::double precision AS seconds
FROM shards AS shard
JOIN runs AS run ON run.run_id = shard.run_id
WHERE shard.run_id = $1 AND shard.stats IS NOT NULL AND shard.completed_at IS NOT NULL
ORDER BY shard.completed_at, shard.shard_no
