DELETE FROM publications
WHERE (job, logical_date) IN (SELECT job, logical_date FROM runs WHERE run_id = ?1)
