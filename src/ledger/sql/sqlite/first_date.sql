SELECT min(logical_date) AS logical_date FROM runs WHERE job = ?1 AND trial = 0
