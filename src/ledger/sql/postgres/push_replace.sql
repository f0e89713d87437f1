INSERT INTO queue (job, record_id, payload, priority)
SELECT $1, record ->> 0, (record ->> 1)::json, $3
FROM json_array_elements($2::json) AS record
ON CONFLICT (job, record_id) WHERE run_id IS NULL DO UPDATE
SET payload = excluded.payload, priority = excluded.priority, enqueued_at = clock_timestamp()
