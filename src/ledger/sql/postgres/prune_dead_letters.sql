DELETE FROM dead_letters
WHERE run_id = $1
  AND ordinal IN (SELECT ordinal FROM dead_letters WHERE run_id = $1 ORDER BY ordinal LIMIT $2)
