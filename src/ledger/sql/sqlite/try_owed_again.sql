-- ?3, the lease, has no meaning here: there is one writer, and it lives.
UPDATE outbox
SET attempts = attempts + 1, last_error = ?4
WHERE outbox_id = ?1 AND owner = ?2 AND state = 'pending' AND ?3 > 0
