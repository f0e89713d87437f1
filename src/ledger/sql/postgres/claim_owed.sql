-- What was tried least comes first, so that a message which nobody takes is in no other one's way.
UPDATE outbox
SET owner = $2, lease_until = clock_timestamp() + make_interval(secs => $4)
WHERE outbox_id = (
    SELECT outbox_id FROM outbox
    WHERE job = $1 AND state = 'pending' AND outbox_id <> ALL ($3::text::bigint[])
      AND (lease_until IS NULL OR lease_until < clock_timestamp() OR owner = $2)
    ORDER BY attempts, outbox_id LIMIT 1
    FOR UPDATE SKIP LOCKED)
RETURNING outbox_id, rule, action, message_id, message
