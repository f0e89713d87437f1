SELECT count(*) AS records FROM queue WHERE job = ?1 AND run_id IS NULL
