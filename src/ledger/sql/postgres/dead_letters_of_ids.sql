SELECT ordinal, record_id FROM dead_letters WHERE run_id = $1 AND record_id IN (SELECT json_array_elements_text($2::json))
