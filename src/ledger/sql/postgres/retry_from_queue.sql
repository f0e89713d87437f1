-- What waits is the corrected record.
UPDATE queue SET run_id = $1
WHERE job = $2 AND run_id IS NULL AND record_id IN (SELECT value FROM json_array_elements_text($3::json) AS value)
