UPDATE runs SET identity = ?2, fingerprint = ?3 WHERE run_id = ?1
