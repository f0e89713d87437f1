UPDATE runs SET report_pruned_at = coalesce(report_pruned_at, clock_timestamp()) WHERE run_id = $1
