WITH claimable AS (
    SELECT shard_no FROM shards
    WHERE run_id = $1
      AND (state = 'available' OR (state = 'leased' AND lease_until < clock_timestamp()))
      AND EXISTS (SELECT 1 FROM runs WHERE run_id = $1 AND state = 'running')
    ORDER BY shard_no LIMIT $3
    FOR UPDATE SKIP LOCKED)
UPDATE shards
SET state = 'leased', epoch = epoch + 1, attempts = attempts + 1, owner = $2,
    lease_until = clock_timestamp() + make_interval(secs => $4)
FROM claimable
WHERE shards.run_id = $1 AND shards.shard_no = claimable.shard_no
RETURNING shards.shard_no, first_ordinal, records, duplicates, input, epoch, attempts
