DELETE FROM queue WHERE (?1 IS NULL OR job = ?1) AND record_id IN (SELECT value FROM json_each(?2))
RETURNING record_id, run_id
