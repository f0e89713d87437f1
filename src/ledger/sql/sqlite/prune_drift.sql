DELETE FROM drift WHERE run_id = ?1
