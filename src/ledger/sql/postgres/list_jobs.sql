SELECT known.job, jobs.schedule, jobs.retired_at FROM (
    SELECT job FROM jobs UNION SELECT job FROM runs WHERE NOT trial
) AS known LEFT JOIN jobs ON jobs.job = known.job
WHERE $1::text IS NULL OR known.job = $1 ORDER BY known.job
