SELECT profile FROM profiles WHERE run_id = ?1
