SELECT 1 AS found FROM queue WHERE run_id = $1 LIMIT 1
