DELETE FROM dead_letters WHERE run_id = $1 AND ordinal IN (SELECT unnest($2::text::bigint[]))
