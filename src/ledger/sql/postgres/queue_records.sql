SELECT queue_id, record_id, payload FROM queue WHERE queue_id = ANY ($1::text::bigint[])
