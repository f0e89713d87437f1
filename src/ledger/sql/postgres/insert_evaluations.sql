INSERT INTO evaluations (job, model_name, model_version, logical_date, origin, segment, metric, class, value, baseline, records, missing)
SELECT $1, evaluation.model_name, evaluation.model_version, evaluation.logical_date, evaluation.origin, evaluation.segment, evaluation.metric, evaluation.class, evaluation.value, evaluation.baseline, evaluation.records, evaluation.missing
FROM json_to_recordset($2::json)
    AS evaluation (model_name text, model_version text, logical_date text, origin text, segment text, metric text, class text, value double precision, baseline double precision, records bigint, missing bigint)
