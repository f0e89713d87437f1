-- The only writer is here.
SELECT 1 AS held FROM runs WHERE run_id = ?1
