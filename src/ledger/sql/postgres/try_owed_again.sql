UPDATE outbox
SET lease_until = clock_timestamp() + make_interval(secs => $3), attempts = attempts + 1, last_error = $4
WHERE outbox_id = $1 AND owner = $2 AND state = 'pending'
