-- Held until the transaction ends. The run's row would not do: commits share it, and one that hangs
-- would keep everybody from beginning.
SELECT 1 AS locked FROM pg_advisory_xact_lock(hashtextextended(current_schema() || ':begin:' || $1::bigint, 0))
