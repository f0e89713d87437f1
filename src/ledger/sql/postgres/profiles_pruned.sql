UPDATE runs SET profiles_pruned_at = coalesce(profiles_pruned_at, clock_timestamp()) WHERE run_id = $1
