INSERT INTO profiles (run_id, records, profile) VALUES (?1, ?2, ?3)
