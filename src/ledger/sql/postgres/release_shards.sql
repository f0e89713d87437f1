-- Who gives its own claims back has not died of them.
UPDATE shards
SET state = 'available', owner = NULL, lease_until = NULL,
    attempts = CASE WHEN $2::text IS NULL THEN attempts ELSE attempts - 1 END
WHERE run_id = $1 AND state = 'leased' AND ($2::text IS NULL OR owner = $2)
