UPDATE runs SET profiles_pruned_at = coalesce(profiles_pruned_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) WHERE run_id = ?1
