SELECT
    (SELECT count(*) FROM predictions WHERE run_id = ?1) AS predicted,
    (SELECT count(*) FROM dead_letters WHERE run_id = ?1)
        + (SELECT coalesce(sum(pruned_dead_letters), 0) FROM shards WHERE run_id = ?1) AS dead_letters,
    (SELECT count(*) FROM dead_letters WHERE run_id = ?1 AND code = ?2)
        + (SELECT coalesce(sum(pruned_duplicates), 0) FROM shards WHERE run_id = ?1) AS duplicates,
    (SELECT coalesce(sum(filtered), 0) FROM shards WHERE run_id = ?1) AS filtered,
    (SELECT coalesce(sum(erased), 0) FROM shards WHERE run_id = ?1) AS erased,
    (SELECT count(*) FROM shards WHERE run_id = ?1 AND state <> 'completed') AS unfinished_shards
