SELECT count(*) AS owed FROM outbox WHERE job = ?1 AND state = 'pending'
