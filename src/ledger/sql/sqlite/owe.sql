INSERT INTO outbox (run_id, job, rule, action, message_id, message)
SELECT run_id, job, ?2, ?3, ?4, ?5 FROM runs WHERE run_id = ?1
ON CONFLICT (run_id, rule, action) DO NOTHING
