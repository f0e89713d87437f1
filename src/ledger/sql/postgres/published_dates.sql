SELECT logical_date FROM publications
WHERE job = $1 AND layer = 0 AND logical_date BETWEEN $2 AND $3
