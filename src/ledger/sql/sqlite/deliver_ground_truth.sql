INSERT INTO ground_truth (job, record_id, logical_date, origin, label, value, items, segment)
SELECT ?1, truth.value ->> '$.id', truth.value ->> '$.date', ?2, truth.value ->> '$.label',
       truth.value ->> '$.value', truth.value ->> '$.items', truth.value ->> '$.segment'
FROM json_each(?3) AS truth
WHERE true
ON CONFLICT (job, record_id, logical_date, origin) DO UPDATE
SET label = excluded.label, value = excluded.value, items = excluded.items, segment = excluded.segment,
    delivered_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE (ground_truth.label, ground_truth.value, ground_truth.items, ground_truth.segment)
    IS NOT (excluded.label, excluded.value, excluded.items, excluded.segment)
