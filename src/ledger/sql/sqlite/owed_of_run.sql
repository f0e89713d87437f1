SELECT rule, action, state, attempts, last_error, delivered_at, message
FROM outbox WHERE run_id = ?1 ORDER BY outbox_id
