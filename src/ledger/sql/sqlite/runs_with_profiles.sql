SELECT run_id FROM runs
WHERE job = ?1
  AND EXISTS (SELECT 1 FROM shards WHERE shards.run_id = runs.run_id AND profile IS NOT NULL)
