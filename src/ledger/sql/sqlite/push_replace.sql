INSERT INTO queue (job, record_id, payload, priority)
SELECT ?1, json_extract(record.value, '$[0]'), json_extract(record.value, '$[1]'), ?3
FROM json_each(?2) AS record WHERE true
ON CONFLICT (job, record_id) WHERE run_id IS NULL DO UPDATE
SET payload = excluded.payload, priority = excluded.priority,
    enqueued_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
