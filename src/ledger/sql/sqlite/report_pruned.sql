UPDATE runs SET report_pruned_at = coalesce(report_pruned_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) WHERE run_id = ?1
