SELECT report.cost, report.currency, report.run_id,
       NOT (run.trial OR run.backfill OR run.parent_run_id IS NOT NULL) AS is_night
FROM reports AS report
JOIN runs AS run ON run.run_id = report.run_id
WHERE report.job = $1 AND report.created_at >= $2::timestamptz AND report.cost IS NOT NULL
ORDER BY report.run_id
