SELECT ordinal, record_id FROM predictions WHERE run_id = $1 AND record_id IN (SELECT json_array_elements_text($2::json))
