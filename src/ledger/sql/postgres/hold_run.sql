-- Not FOR UPDATE: rows that refer to the run, such as attempts, may still be inserted.
SELECT 1 AS held FROM runs WHERE run_id = $1 FOR NO KEY UPDATE
