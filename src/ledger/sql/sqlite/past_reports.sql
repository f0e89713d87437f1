SELECT run_id, report FROM reports
WHERE job = ?1 AND run_id < ?2 AND verdict <> 'trial'
ORDER BY run_id DESC LIMIT ?3
