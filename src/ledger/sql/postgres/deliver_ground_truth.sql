INSERT INTO ground_truth (job, record_id, logical_date, origin, label, value, items, segment)
SELECT $1, truth.id, truth.date, $2, truth.label, truth.value, truth.items, truth.segment
FROM json_to_recordset($3::json)
    AS truth (id text, date text, label text, value double precision, items text, segment text)
ON CONFLICT (job, record_id, logical_date, origin) DO UPDATE
SET label = excluded.label, value = excluded.value, items = excluded.items, segment = excluded.segment,
    delivered_at = now()
WHERE (ground_truth.label, ground_truth.value, ground_truth.items, ground_truth.segment)
    IS DISTINCT FROM (excluded.label, excluded.value, excluded.items, excluded.segment)
