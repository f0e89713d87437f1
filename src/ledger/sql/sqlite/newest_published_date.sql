SELECT max(logical_date) AS logical_date FROM publications WHERE job = ?1
