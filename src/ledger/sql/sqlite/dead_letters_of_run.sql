SELECT ordinal, record_id, stage, code, field, message FROM dead_letters
WHERE run_id = ?1 AND ordinal >= ?2 AND (?3 IS NULL OR code = ?3) AND (?4 IS NULL OR record_id = ?4)
ORDER BY ordinal LIMIT ?5
