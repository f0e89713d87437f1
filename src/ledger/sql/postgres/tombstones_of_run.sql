SELECT ordinal, token FROM tombstones WHERE run_id = $1 AND ordinal IS NOT NULL ORDER BY ordinal
