-- Planned duplicates of a completed shard are dead letters, outside the limit: 4 bytes for each. The
-- filter may have dropped one whose row changed since.
SELECT count(*) AS shards,
       count(*) FILTER (WHERE state = 'completed') AS completed_shards,
       coalesce(sum(records) FILTER (WHERE state = 'completed'), 0)::bigint AS records,
       coalesce(sum(dead_letters), 0)::bigint AS dead_letters,
       coalesce(sum(predicted), 0)::bigint AS predicted,
       coalesce(sum(greatest(dead_letters - coalesce(octet_length(duplicates), 0) / 4, 0)), 0)::bigint AS rejected
FROM shards WHERE run_id = $1
