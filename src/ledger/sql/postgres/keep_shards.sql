-- A row that is locked is being committed or claimed, which may take long; the others must not wait
-- for it, and nobody can take it meanwhile.
WITH kept AS (
    SELECT shards.shard_no FROM shards
    JOIN unnest($3::text::bigint[], $4::text::bigint[]) AS held (shard_no, epoch)
      ON shards.shard_no = held.shard_no AND shards.epoch = held.epoch
    WHERE shards.run_id = $1 AND state = 'leased'
    FOR UPDATE OF shards SKIP LOCKED)
UPDATE shards SET lease_until = clock_timestamp() + make_interval(secs => $2)
FROM kept
WHERE shards.run_id = $1 AND shards.shard_no = kept.shard_no
