UPDATE outbox SET state = 'expired', owner = NULL, lease_until = NULL
WHERE job = $1 AND state = 'pending' AND created_at < clock_timestamp() - make_interval(secs => $2)
  AND (lease_until IS NULL OR lease_until < clock_timestamp())
