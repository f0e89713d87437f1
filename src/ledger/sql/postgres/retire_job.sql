UPDATE jobs SET retired_at = clock_timestamp() WHERE job = $1 AND retired_at IS NULL
