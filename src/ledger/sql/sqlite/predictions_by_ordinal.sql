SELECT record_id, ordinal, label, score, value, embedding, output FROM predictions
WHERE run_id = ?1 ORDER BY ordinal
