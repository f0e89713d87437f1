SELECT run_id FROM publications WHERE job = $1 AND logical_date = $2 AND layer = 0
