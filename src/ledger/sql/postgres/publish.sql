INSERT INTO publications (job, logical_date, layer, run_id)
SELECT job, logical_date, 0, run_id FROM runs WHERE run_id = $1
