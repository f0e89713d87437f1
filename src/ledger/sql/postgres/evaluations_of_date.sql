SELECT model_name, model_version, logical_date, origin, segment, metric, class, value, baseline, records, missing
FROM evaluations
WHERE job = $1 AND logical_date = $2
ORDER BY model_name, model_version, origin, segment, metric, class
