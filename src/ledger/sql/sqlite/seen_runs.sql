SELECT run_id FROM publications WHERE job = ?1
