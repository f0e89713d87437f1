INSERT INTO jobs (job, schedule, retired_at) VALUES ($1, '{}', clock_timestamp())
ON CONFLICT (job) DO UPDATE SET retired_at = clock_timestamp() WHERE jobs.retired_at IS NULL
