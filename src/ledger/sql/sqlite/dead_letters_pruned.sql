UPDATE runs SET dead_letters_pruned_at = coalesce(dead_letters_pruned_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) WHERE run_id = ?1
