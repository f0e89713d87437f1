INSERT INTO evaluations (job, model_name, model_version, logical_date, origin, segment, metric, class, value, baseline, records, missing)
SELECT ?1, evaluation.value ->> '$.model_name', evaluation.value ->> '$.model_version', evaluation.value ->> '$.logical_date', evaluation.value ->> '$.origin', evaluation.value ->> '$.segment', evaluation.value ->> '$.metric', evaluation.value ->> '$.class', evaluation.value ->> '$.value', evaluation.value ->> '$.baseline', evaluation.value ->> '$.records', evaluation.value ->> '$.missing'
FROM json_each(?2) AS evaluation
