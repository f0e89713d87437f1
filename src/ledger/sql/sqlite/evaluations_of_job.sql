SELECT model_name, model_version, logical_date, origin, segment, metric, class, value, baseline, records, missing
FROM evaluations
WHERE job = ?1
ORDER BY logical_date, model_name, model_version, origin, segment, metric, class
