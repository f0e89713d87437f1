INSERT INTO jobs (job, schedule) VALUES (?1, ?2) ON CONFLICT (job) DO NOTHING
