UPDATE jobs SET retired_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE job = ?1 AND retired_at IS NULL
