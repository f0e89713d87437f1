SELECT publication.logical_date, run.model_name, run.model_version, sum(run.predicted) AS predicted
FROM publications AS publication
JOIN runs AS run ON run.run_id = publication.run_id
WHERE publication.job = ?1
GROUP BY publication.logical_date, run.model_name, run.model_version
ORDER BY publication.logical_date, run.model_name, run.model_version
