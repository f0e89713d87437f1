UPDATE reports SET report = ?2 WHERE run_id = ?1
