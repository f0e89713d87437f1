SELECT model_name, model_version, logical_date, origin, segment, metric, class, value, baseline, records, missing
FROM evaluations
WHERE job = ?1 AND model_name = ?2 AND model_version = ?3 AND metric = ?4
  AND origin = 'observed' AND segment = '' AND class = '' AND logical_date <> ''
ORDER BY logical_date DESC
LIMIT ?5
