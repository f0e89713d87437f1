DELETE FROM runs WHERE run_id = ?1 AND pruned_at IS NOT NULL
