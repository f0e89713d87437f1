SELECT count(*) AS shards,
       count(*) FILTER (WHERE state = 'completed') AS completed_shards,
       coalesce(sum(records) FILTER (WHERE state = 'completed'), 0)::bigint AS records,
       coalesce(sum(dead_letters), 0)::bigint AS dead_letters
FROM shards WHERE run_id = $1
