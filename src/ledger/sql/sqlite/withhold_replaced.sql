UPDATE runs SET publication = 'withheld'
WHERE publication = 'published' AND run_id <> ?1
  AND (job, logical_date) IN (SELECT job, logical_date FROM runs WHERE run_id = ?1)
