SELECT count(*) AS owed FROM outbox
WHERE job = $1 AND state = 'pending' AND owner <> $2 AND lease_until >= clock_timestamp()
