SELECT queue_id, record_id, payload FROM queue
WHERE queue_id IN (SELECT value FROM json_each('[' || trim(?1, '{}') || ']'))
