SELECT 1 AS found FROM publications WHERE run_id = $1
