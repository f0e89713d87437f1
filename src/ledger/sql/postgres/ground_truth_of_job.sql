SELECT record_id FROM ground_truth WHERE job = $1 AND origin = $2 ORDER BY record_id
