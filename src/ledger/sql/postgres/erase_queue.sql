DELETE FROM queue WHERE ($1::text IS NULL OR job = $1) AND record_id IN (SELECT json_array_elements_text($2::json))
RETURNING record_id, run_id
