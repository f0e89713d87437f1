SELECT stage, code, field, count(*) AS records FROM dead_letters WHERE run_id = $1
GROUP BY stage, code, field ORDER BY records DESC, stage, code, field
