DELETE FROM profiles WHERE run_id = $1
