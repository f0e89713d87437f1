-- ?4, the lease, has no meaning here: there is one writer, and it lives.
UPDATE outbox
SET owner = ?2
WHERE ?4 > 0 AND outbox_id = (
    SELECT outbox_id FROM outbox
    WHERE job = ?1 AND state = 'pending' AND outbox_id > ?3
    ORDER BY outbox_id LIMIT 1)
RETURNING outbox_id, rule, action, message_id, message
