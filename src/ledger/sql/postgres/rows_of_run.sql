SELECT
    (SELECT count(*) FROM predictions WHERE run_id = $1) AS predictions,
    (SELECT count(*) FROM dead_letters WHERE run_id = $1) AS dead_letters,
    (SELECT count(*) FROM shards WHERE run_id = $1 AND profile IS NOT NULL) AS profiles
