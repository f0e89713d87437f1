INSERT INTO jobs (job, schedule, retired_at) VALUES (?1, '{}', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
ON CONFLICT (job) DO UPDATE SET retired_at = excluded.retired_at WHERE jobs.retired_at IS NULL
