SELECT report.cost, report.currency, report.run_id,
       NOT (run.trial OR run.backfill OR run.parent_run_id IS NOT NULL) AS is_night
FROM reports AS report
JOIN runs AS run ON run.run_id = report.run_id
WHERE report.job = ?1 AND julianday(report.created_at) >= julianday(?2) AND report.cost IS NOT NULL
ORDER BY report.run_id
