SELECT run.planned
FROM publications AS publication
JOIN runs AS run ON run.run_id = publication.run_id
WHERE publication.job = ?1 AND publication.logical_date < ?2 AND publication.layer = 0
ORDER BY publication.logical_date DESC LIMIT 1
