-- Held until the transaction ends. Two keys that collide wait for each other, no more.
SELECT 1 AS locked FROM pg_advisory_xact_lock(hashtextextended(current_schema() || ':plan:' || $1, 0))
