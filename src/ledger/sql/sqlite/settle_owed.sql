UPDATE outbox
SET state = ?3, last_error = coalesce(?4, CASE WHEN ?3 <> 'delivered' THEN last_error END),
    attempts = attempts + ?5, owner = NULL, lease_until = NULL,
    delivered_at = CASE WHEN ?3 = 'delivered' THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now') END
-- What was delivered is, whoever may have claimed it since.
WHERE outbox_id = ?1 AND (owner = ?2 OR ?3 = 'delivered') AND state = 'pending'
