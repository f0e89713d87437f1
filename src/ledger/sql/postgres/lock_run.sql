-- Held until the transaction ends. The run's row would not do: whoever finishes the run holds it, and
-- would keep everybody from beginning.
SELECT 1 AS locked FROM pg_advisory_xact_lock(hashtextextended(current_schema() || ':begin:' || $1::bigint, 0))
