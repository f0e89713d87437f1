SELECT ordinal, record_id, stage, code, field, message FROM dead_letters
WHERE run_id = $1 AND ordinal >= $2 AND ordinal < $3 ORDER BY ordinal
