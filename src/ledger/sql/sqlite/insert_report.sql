INSERT INTO reports (run_id, job, logical_date, verdict, exit_code, planned, predicted, dead_letters,
                     duplicates, filtered, duration_seconds, records_per_second, peak_memory_bytes,
                     report, cost, currency)
SELECT run_id, job, logical_date, ?2, ?3, planned, predicted, dead_letters,
       duplicates, filtered, ?4, ?5, ?6, ?7, ?8, ?9
FROM runs WHERE run_id = ?1
