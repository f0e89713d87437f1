SELECT record_id, ordinal, label, score, value, embedding, output FROM predictions
WHERE run_id = $1 AND ordinal >= $2 AND ordinal < $3 ORDER BY ordinal
