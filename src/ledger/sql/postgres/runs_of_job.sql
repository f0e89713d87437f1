SELECT * FROM runs WHERE $1::text IS NULL OR job = $1 ORDER BY run_id DESC
