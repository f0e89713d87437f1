SELECT ordinal, record_id, stage, code, field, message
FROM (
    SELECT *, row_number() OVER (PARTITION BY stage, code, field ORDER BY ordinal) AS place
    FROM dead_letters WHERE run_id = ?1) AS numbered
WHERE place <= ?2
ORDER BY stage, code, field, ordinal
