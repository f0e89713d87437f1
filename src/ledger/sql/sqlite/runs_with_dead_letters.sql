SELECT run_id FROM runs
WHERE job = ?1 AND EXISTS (SELECT 1 FROM dead_letters WHERE dead_letters.run_id = runs.run_id)
