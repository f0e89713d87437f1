UPDATE runs SET dead_letters_pruned_at = coalesce(dead_letters_pruned_at, clock_timestamp()) WHERE run_id = $1
