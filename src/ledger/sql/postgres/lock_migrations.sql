SELECT 1 AS locked FROM pg_advisory_xact_lock(hashtextextended(current_schema() || ':migrate', 0))
