UPDATE outbox SET state = 'expired', owner = NULL, lease_until = NULL
WHERE job = ?1 AND state = 'pending'
  AND created_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || ?2 || ' seconds')
