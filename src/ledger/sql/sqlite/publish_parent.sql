UPDATE runs SET publication = 'published', exit_code = 0
WHERE run_id = ?1 AND state = 'completed' AND publication = 'withheld' AND pruned_at IS NULL
