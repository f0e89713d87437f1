SELECT 1 AS locked
WHERE pg_try_advisory_xact_lock(hashtextextended(current_schema() || ':finish:' || $1::bigint, 0))
