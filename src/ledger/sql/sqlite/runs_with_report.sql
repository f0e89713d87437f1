SELECT runs.run_id FROM runs JOIN reports ON reports.run_id = runs.run_id WHERE runs.job = ?1
