DELETE FROM outbox WHERE run_id = $1
