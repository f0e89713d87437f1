INSERT INTO jobs (job, schedule) VALUES (?1, ?2)
ON CONFLICT (job) DO UPDATE SET schedule = excluded.schedule, retired_at = NULL,
    updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE jobs.schedule <> excluded.schedule OR jobs.retired_at IS NOT NULL
