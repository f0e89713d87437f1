INSERT INTO tombstones (token, place, run_id, ordinal) VALUES (?1, ?2, ?3, ?4)
