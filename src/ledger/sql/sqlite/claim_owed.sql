-- What was tried least comes first, so that a message which nobody takes is in no other one's way. ?4, the
-- lease, has no meaning here: there is one writer, and it lives.
UPDATE outbox
SET owner = ?2
WHERE ?4 > 0 AND outbox_id = (
    SELECT outbox_id FROM outbox
    WHERE job = ?1 AND state = 'pending'
      AND outbox_id NOT IN (SELECT value FROM json_each('[' || trim(?3, '{}') || ']'))
    ORDER BY attempts, outbox_id LIMIT 1)
RETURNING outbox_id, rule, action, message_id, message
