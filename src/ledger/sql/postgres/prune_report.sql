DELETE FROM reports WHERE run_id = $1
