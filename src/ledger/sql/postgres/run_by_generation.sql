SELECT * FROM runs WHERE job = $1 AND logical_date = $2 AND generation = $3
